#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace fdchain {

/// Neighbouring descriptors this process must close: the window of passed sockets, as it arrived.
///
/// One owner and one close_range(2) for any number of them. A system call for each socket in each hop would
/// cost more than the fork and exec that the sockets travel by.
class OwnedRange {
 public:
  /// None, but at the place where the first would be.
  OwnedRange() noexcept = default;
  OwnedRange(int first, int count) noexcept : first_(first), count_(count) {}
  OwnedRange(OwnedRange&& other) noexcept : first_(other.first_), count_(std::exchange(other.count_, 0)) {}
  OwnedRange& operator=(OwnedRange&& other) noexcept {
    if (this == &other) return *this;
    close();
    first_ = other.first_;
    count_ = std::exchange(other.count_, 0);
    return *this;
  }
  OwnedRange(const OwnedRange&) = delete;
  OwnedRange& operator=(const OwnedRange&) = delete;
  ~OwnedRange() { close(); }

  [[nodiscard]] int first() const noexcept { return first_; }
  [[nodiscard]] int count() const noexcept { return count_; }
  [[nodiscard]] int end() const noexcept { return first_ + count_; }

  /// Hands the duty to close them to somebody else.
  void release() noexcept { count_ = 0; }

  /// Closes now. Keeps errno.
  void close() noexcept {
    if (count_ == 0) return;
    const int saved = errno;
    const int last = end() - 1;
    if (::close_range(static_cast<unsigned>(first_), static_cast<unsigned>(last), 0) < 0) {
      // Refused: by a kernel before 5.9, or by a sandbox that does not know it.
      for (int fd = first_; fd <= last; ++fd) ::close(fd);
    }
    count_ = 0;
    errno = saved;
  }

 private:
  int first_ = 3;
  int count_ = 0;
};

}  // namespace fdchain
