#include "fdchain/program/notice.h"

#include <unistd.h>

#include <cstdint>
#include <exception>
#include <string>

#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/log.h"
#include "fdchain/system/socket/notify.h"

namespace fdchain {

namespace {

// False when the manager has read nothing for as long.
bool tell(const Environment& environment, std::string_view state, std::chrono::seconds patience) {
  const auto socket = environment.get(notify_socket_name);
  if (!socket || socket->empty()) return true;
  try {
    return notify(std::string(*socket), state, patience);
  } catch (const std::exception& error) {
    log::warn("{}", error.what());
    return true;
  }
}

}  // namespace

void tell_service_manager(const Environment& environment, std::string_view state) {
  // As long as for stderr: whoever waits for this process does not wait for its manager.
  if (!tell(environment, state, std::chrono::seconds(1)))
    log::warn("NOTIFY_SOCKET={}: nobody reads it",
              printable(environment.get(notify_socket_name).value_or(""), 120));
}

void feed_service_watchdog(const Environment& environment) {
  // Where there is no room there is one that has not been read.
  (void)tell(environment, "WATCHDOG=1", std::chrono::seconds(0));
}

std::chrono::microseconds watchdog_interval(const Environment& environment) {
  constexpr std::uint64_t longest = 365ULL * 24 * 3600 * 1'000'000;
  const auto interval = environment.get(watchdog_usec_name);
  const auto pid = environment.get(watchdog_pid_name);
  // Without WATCHDOG_PID it is for whoever has it.
  if (!interval || (pid && !names_process(*pid, ::getpid()))) return {};
  return std::chrono::microseconds(parse_decimal(*interval, longest).value_or(0));
}

}  // namespace fdchain
