#include "fdchain/system/fd/flow.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

constexpr std::size_t flow_room = 16'384;  ///< what is read and not written yet, at most
constexpr std::size_t small_write = 4096;  ///< what a pipe that poll(2) calls writable takes at once

}  // namespace

OwnedFd end_of_callers(int fd, int mode) {
  struct stat status {};
  unsigned number = 0;
  const bool can_be_opened_anew = ::fstat(fd, &status) == 0 &&
                                  (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) &&
                                  ::ioctl(fd, TIOCGPTN, &number) < 0;
  if (can_be_opened_anew) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    OwnedFd own(::open(path.c_str(), mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (own) return own;
  }
  return OwnedFd(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

bool Flow::has_room() const { return open && pending.size() < flow_room; }

std::size_t Flow::fill() {
  std::array<char, small_write> buffer;
  const ssize_t got = retry([&] { return ::read(from, buffer.data(), buffer.size()); });
  if (got < 0 && errno == EAGAIN) return 0;
  open = got > 0;
  if (!open) return 0;
  if (has_reader) pending.append(buffer.data(), static_cast<std::size_t>(got));
  return static_cast<std::size_t>(got);
}

bool Flow::flush() {
  const std::size_t size = std::min(pending.size(), small_write);
  if (size == 0) return false;
  const ssize_t written = retry([&] { return ::write(to, pending.data(), size); });
  if (written >= 0) {
    pending.erase(0, static_cast<std::size_t>(written));
  } else if (errno != EAGAIN) {
    has_reader = false;
    pending.clear();
  }
  return written > 0;
}

}  // namespace fdchain
