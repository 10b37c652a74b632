#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace fdchain {

/// Sends one message to systemd as sd_notify(3) does; `socket` is the value of NOTIFY_SOCKET. Waits no longer
/// than `patience` for room. False when there was none.
///
/// Throws std::system_error, or Failure for an address that cannot be one.
bool notify(const std::string& socket, std::string_view message, std::chrono::seconds patience);

}  // namespace fdchain
