// What a service tells its manager: sd_notify(3), sd_watchdog_enabled(3).
#pragma once

#include <chrono>
#include <string_view>

#include "fdchain/model/environment.h"

namespace fdchain {

/// Sends it to NOTIFY_SOCKET, where there is one. That it does not arrive is a warning.
void tell_service_manager(const Environment& environment, std::string_view state);

/// How often this process has to send WATCHDOG=1 at the least; 0 when nobody waits for it.
std::chrono::microseconds watchdog_interval(const Environment& environment);

/// No watchdog is fed more often, however short its interval.
inline constexpr std::chrono::microseconds shortest_watchdog = std::chrono::milliseconds(1);

}  // namespace fdchain
