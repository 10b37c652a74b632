#include "launcher/shared/systemd_notice.h"

#include "fdchain/model/variables.h"
#include "fdchain/program/log.h"
#include "fdchain/system/socket/notify.h"

namespace fdchain {

void notify_systemd(const RunOptions& options, const Arrival& arrival, pid_t monitor) {
  const auto socket = arrival.environment.get(notify_socket_name);
  if (!socket || options.sdnotify == SdNotify::ignore) return;
  std::string message;
  if (options.detach) message = "MAINPID=" + std::to_string(monitor);
  if (options.sdnotify == SdNotify::conmon) message += options.detach ? "\nREADY=1" : "READY=1";
  if (message.empty()) return;
  try {
    notify(std::string(*socket), message);
  } catch (const std::exception& error) {
    log::warn("{}", error.what());
  }
}

}  // namespace fdchain
