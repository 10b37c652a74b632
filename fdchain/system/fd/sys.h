#pragma once

#include <cerrno>
#include <concepts>
#include <string>
#include <string_view>
#include <system_error>

namespace fdchain {

/// Throws std::system_error for `error`: `open /run/x: Permission denied`.
[[noreturn]] void fail(int error, std::string_view call, std::string_view subject = {});

/// Passes a system call's result through, or throws std::system_error naming the call and its subject.
///
///     OwnedFd log(check(::open(path, O_WRONLY | O_CLOEXEC), "open", path));
template <std::signed_integral T>
T check(T result, std::string_view call, std::string_view subject = {}) {
  if (result < 0) fail(errno, call, subject);
  return result;
}

/// Calls again for as long as a signal interrupts.
template <typename Call>
auto retry(Call call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace fdchain
