// poll(2) with an end that stays where it is, however often the wait is interrupted.
#pragma once

#include <poll.h>

#include <chrono>
#include <span>

namespace fdchain {

/// A moment to wait for at most.
using Deadline = std::chrono::steady_clock::time_point;

inline constexpr Deadline no_deadline = Deadline::max();
inline constexpr Deadline at_once{};  ///< look, and do not wait

/// So long from now.
Deadline after(std::chrono::milliseconds time);

/// Waits until one of `waiting` is ready or `end` has come; returns how many are ready, or -1 with errno. An
/// interruption by a signal does not end it, and does not make it longer.
int poll_until(std::span<pollfd> waiting, Deadline end) noexcept;

/// Waits until `fd` can be read, or is at its end; false when `end` comes first. One that is negative is
/// never ready.
bool is_readable(int fd, Deadline end = at_once) noexcept;

}  // namespace fdchain
