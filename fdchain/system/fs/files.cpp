#include "fdchain/system/fs/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {

void write_all(int fd, std::string_view bytes, std::string_view subject) {
  while (!bytes.empty()) {
    const ssize_t written = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    bytes.remove_prefix(static_cast<std::size_t>(check(written, "write", subject)));
  }
}

void write_all_patiently(int fd, std::string_view bytes, std::string_view subject) {
  while (!bytes.empty()) {
    const ssize_t written = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (written < 0 && errno != EAGAIN) fail(errno, "write", subject);
    bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
    pollfd room{fd, POLLOUT, 0};
    if (written < 0) (void)!::poll(&room, 1, -1);
  }
}

std::string read_all(int fd, std::string_view subject, std::size_t most) {
  std::string content;
  std::array<char, 65536> buffer;
  while (const ssize_t got =
             check(retry([&] { return ::read(fd, buffer.data(), buffer.size()); }), "read", subject)) {
    content.append(buffer.data(), static_cast<std::size_t>(got));
    if (content.size() > most)
      throw Failure(printable(subject) + ": more than the " + std::to_string(most) + " bytes that are read");
  }
  return content;
}

namespace {

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "./" : path.substr(0, slash + 1);
}

constexpr std::string_view mark_of_name_beside = ".tmp";

// Tries names beside `path` until one is free. Which they are nobody can know beforehand.
template <typename Take>
std::string take_name_beside(const std::string& path, std::string_view option, Take take) {
  constexpr int attempts = 10;
  for (int attempt = 1;; ++attempt) {
    std::uint64_t random = 0;
    check(::getrandom(&random, sizeof random, 0), "getrandom");
    std::string name = fmt::format("{}{}{:016x}", directory_of(path), mark_of_name_beside, random);
    if (take(name.c_str())) return name;
    if (errno != EEXIST || attempt == attempts) fail(errno, option, path);
  }
}

// A file system that cannot do it has said so by now, or promises nothing.
void sync(int fd, std::string_view option, const std::string& path) {
  if (::fsync(fd) < 0 && errno != EINVAL && errno != EROFS) fail(errno, option, path);
}

void sync_directory_of(const std::string& path, std::string_view option) {
  const OwnedFd directory(::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) sync(directory.get(), option, path);  // else it may be written, and not read
}

void rename_or_remove(const std::string& name, const std::string& path, std::string_view option) {
  if (::rename(name.c_str(), path.c_str()) == 0) return;
  const int error = errno;
  ::unlink(name.c_str());
  fail(error, option, path);
}

bool link_to(const OwnedFd& file, const char* path) {
  const std::string self = "/proc/self/fd/" + std::to_string(file.get());
  return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

/// What is to be written where.
struct Writing {
  const std::string& path;
  std::string_view content;
  std::string_view option;
  Durable durable;
};

void fill(const OwnedFd& file, const Writing& writing) {
  write_all(file.get(), writing.content, writing.path);
  if (writing.durable == Durable::yes) sync(file.get(), writing.option, writing.path);
}

// By a file that has no name before it is complete. False where there is no such thing: the file system or
// /proc is not like that.
bool write_without_name(const Writing& writing) {
  const OwnedFd file(::open(directory_of(writing.path).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644));
  if (!file) return false;
  fill(file, writing);
  if (link_to(file, writing.path.c_str())) return true;
  if (errno != EEXIST) return false;
  // linkat(2) replaces nothing, rename(2) does.
  const std::string name = take_name_beside(writing.path, writing.option,
                                            [&](const char* candidate) { return link_to(file, candidate); });
  rename_or_remove(name, writing.path, writing.option);
  return true;
}

void write_under_another_name(const Writing& writing) {
  const FileBeside beside = create_beside(writing.path, O_WRONLY, 0644, writing.option);
  try {
    fill(beside.file, writing);
  } catch (...) {
    ::unlink(beside.name.c_str());
    throw;
  }
  rename_or_remove(beside.name, writing.path, writing.option);
}

}  // namespace

void check_replaceable(std::string_view option, const std::string& path) {
  struct stat status {};
  const bool there = ::lstat(path.c_str(), &status) == 0;
  // Too long a name, for one, must not be found out at the end.
  if (!there && errno != ENOENT) fail(errno, option, printable(path, 200));
  if (there && !S_ISREG(status.st_mode))
    throw Failure(std::string(option) + ' ' + printable(path) + ": there, and not a regular file");
  check(::faccessat(AT_FDCWD, directory_of(path).c_str(), W_OK | X_OK, AT_EACCESS), option, path);
}

bool is_name_beside(std::string_view name) {
  constexpr std::size_t digits = 16;
  if (!name.starts_with(mark_of_name_beside) || name.size() != mark_of_name_beside.size() + digits)
    return false;
  return std::ranges::all_of(name.substr(mark_of_name_beside.size()),
                             [](unsigned char c) { return std::isxdigit(c) != 0; });
}

FileBeside create_beside(const std::string& path, int flags, mode_t mode, std::string_view option) {
  FileBeside beside;
  beside.name = take_name_beside(path, option, [&](const char* name) {
    beside.file = OwnedFd(::open(name, flags | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    return static_cast<bool>(beside.file);
  });
  return beside;
}

void write_file_atomically(const std::string& path, std::string_view content, std::string_view option,
                           Durable durable) {
  check_replaceable(option, path);
  const Writing writing{path, content, option, durable};
  if (!write_without_name(writing)) write_under_another_name(writing);
  if (durable == Durable::yes) sync_directory_of(path, option);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
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
