#include "launcher/shared/systemd_notice.h"

#include <string>

#include "fdchain/program/notice.h"

namespace fdchain {

void notify_systemd(const RunOptions& options, const Arrival& arrival, pid_t monitor) {
  if (options.sdnotify == SdNotify::ignore) return;
  std::string message;
  if (options.detach) message = "MAINPID=" + std::to_string(monitor);
  if (options.sdnotify == SdNotify::conmon) message += options.detach ? "\nREADY=1" : "READY=1";
  if (!message.empty()) tell_service_manager(arrival.environment, message);
}

}  // namespace fdchain
