#include "fdchain/system/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "fdchain/system/sys.h"

namespace fdchain {

void write_all(int fd, std::string_view bytes, std::string_view subject) {
  while (!bytes.empty()) {
    const ssize_t written = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    bytes.remove_prefix(static_cast<std::size_t>(check(written, "write", subject)));
  }
}

void write_file_atomically(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp" + std::to_string(::getpid());
  try {
    const OwnedFd file(
        check(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), "open", path));
    write_all(file.get(), content, path);
    check(::rename(temporary.c_str(), path.c_str()), "rename", path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

OwnedFd open_dev_null() {
  return OwnedFd(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "open", "/dev/null"));
}

std::string find_own_program(std::string_view name) {
  const std::filesystem::path directory = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::filesystem::path beside = directory / name;
  const std::filesystem::path installed = directory.parent_path() / "libexec" / "fdchain" / name;
  return ::access(beside.c_str(), X_OK) != 0 && ::access(installed.c_str(), X_OK) == 0 ? installed : beside;
}

}  // namespace fdchain
