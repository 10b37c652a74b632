#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace fdchain {

/// A descriptor this process must close.
///
/// Move-only, and never an int by accident: `get()` lends the number to a system call, `release()` hands the
/// duty to close it to somebody else.
class OwnedFd {
 public:
  OwnedFd() noexcept = default;
  explicit OwnedFd(int fd) noexcept : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    const OwnedFd old(std::exchange(fd_, other.release()));
    return *this;
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  ~OwnedFd() { close(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }

  /// Closes now. Keeps errno, so an error path can tidy up before it reports.
  void close() noexcept {
    if (fd_ < 0) return;
    const int saved = errno;
    // Linux frees the number even on EINTR; trying again could close a stranger's descriptor.
    ::close(std::exchange(fd_, -1));
    errno = saved;
  }

 private:
  int fd_ = -1;
};

}  // namespace fdchain
