#include "fdchain/program/notice.h"

#include <unistd.h>

#include <cstdint>
#include <exception>
#include <string>

#include "fdchain/model/number.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/log.h"
#include "fdchain/system/socket/notify.h"

namespace fdchain {

void tell_service_manager(const Environment& environment, std::string_view state) {
  const auto socket = environment.get(notify_socket_name);
  if (!socket || socket->empty()) return;
  try {
    notify(std::string(*socket), std::string(state));
  } catch (const std::exception& error) {
    log::warn("{}", error.what());
  }
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
