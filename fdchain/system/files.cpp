#include "fdchain/system/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdio>

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
  std::array<char, PATH_MAX> link{};
  const ssize_t length =
      check(::readlink("/proc/self/exe", link.data(), link.size()), "readlink", "/proc/self/exe");
  std::string_view directory(link.data(), static_cast<std::size_t>(length));
  directory = directory.substr(0, directory.rfind('/'));
  const std::string beside = std::string(directory).append("/").append(name);
  if (::access(beside.c_str(), X_OK) == 0) return beside;
  directory = directory.substr(0, directory.rfind('/'));
  const std::string installed = std::string(directory).append("/libexec/fdchain/").append(name);
  return ::access(installed.c_str(), X_OK) == 0 ? installed : beside;
}

}  // namespace fdchain
