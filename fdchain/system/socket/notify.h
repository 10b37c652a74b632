#pragma once

#include <string>
#include <string_view>

namespace fdchain {

/// Sends one message to systemd as sd_notify(3) does; `socket` is the value of NOTIFY_SOCKET.
///
/// Throws std::system_error, or Failure for an address that cannot be one.
void notify(const std::string& socket, std::string_view message);

}  // namespace fdchain
