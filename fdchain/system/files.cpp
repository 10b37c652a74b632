#include "fdchain/system/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdio>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/sys.h"

namespace fdchain {

void write_all(int fd, std::string_view bytes, std::string_view subject) {
  while (!bytes.empty()) {
    const ssize_t written = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    bytes.remove_prefix(static_cast<std::size_t>(check(written, "write", subject)));
  }
}

void check_replaceable(std::string_view option, const std::string& path) {
  struct stat status {};
  const bool there = ::lstat(path.c_str(), &status) == 0;
  if (there && !S_ISREG(status.st_mode))
    throw Failure(std::string(option) + ' ' + printable(path) + ": there, and not a regular file");
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  check(::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS), option, path);
}

void write_file_atomically(const std::string& path, std::string_view content, std::string_view option) {
  check_replaceable(option, path);
  const std::string temporary = path + ".tmp" + std::to_string(::getpid());
  const OwnedFd file(
      check(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), option, path));
  try {
    write_all(file.get(), content, path);
    check(::rename(temporary.c_str(), path.c_str()), option, path);
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
  std::string_view from_here = FDCHAIN_PROGRAMS_FROM_BIN;
  for (; from_here.starts_with("../"); from_here.remove_prefix(3))
    directory = directory.substr(0, directory.rfind('/'));
  const std::string installed = std::string(directory).append("/").append(from_here).append("/").append(name);
  return ::access(installed.c_str(), X_OK) == 0 ? installed : beside;
}

}  // namespace fdchain
