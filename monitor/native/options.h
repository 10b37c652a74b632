#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/log_target.h"

namespace fdchain {

/// The monitor's command line, in the native dialect.
struct MonitorOptions {
  LogTarget log;
  int timeout = 0;                  ///< seconds; 0 for none
  std::string exit_file;            ///< empty for none
  int preserve_fds = 0;             ///< descriptors after the window to pass on
  int runtime_sync_fd = -1;         ///< the number at which the runtime finds its sync pipe; -1 for none
  bool replace_listen_pid = false;  ///< the sockets are for this hop whomever LISTEN_PID names
  bool no_stdin = false;            ///< the payload reads from /dev/null
  std::vector<std::string> remove_paths;
  std::vector<std::string> remove_queues;
  std::vector<std::string> runtime;  ///< the next program with its arguments
};

/// Nothing when --help or --version has been answered. Throws Failure for a command line it cannot use.
std::optional<MonitorOptions> parse_monitor_options(const std::vector<std::string>& words);

}  // namespace fdchain
