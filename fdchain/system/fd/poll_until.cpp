#include "fdchain/system/fd/poll_until.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>

namespace fdchain {
namespace {

using Clock = std::chrono::steady_clock;

// What poll(2) takes: milliseconds in an int, -1 for no end.
int timeout_until(Deadline end) {
  if (end == no_deadline) return -1;
  if (end == at_once) return 0;  // without a look at the clock
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

}  // namespace

Deadline after(std::chrono::milliseconds time) { return Clock::now() + time; }

int poll_until(std::span<pollfd> waiting, Deadline end) noexcept {
  while (true) {
    const int timeout = timeout_until(end);
    const int ready = ::poll(waiting.data(), waiting.size(), timeout);
    if (ready > 0 || timeout == 0 || (ready < 0 && errno != EINTR)) return ready;
  }
}

bool is_readable(int fd, Deadline end) noexcept {
  pollfd one{fd, POLLIN, 0};
  return poll_until({&one, 1}, end) > 0;
}

}  // namespace fdchain
