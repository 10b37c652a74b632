#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fdchain {

/// The payload's command line.
struct PayloadOptions {
  enum class Mode {
    echo,    ///< serve every socket
    report,  ///< print what arrived, as JSON
    hold,    ///< keep everything open and do nothing
  };
  Mode mode = Mode::echo;
  int idle_timeout = 0;   ///< seconds without a client after which echo ends; 0 for never
  int exit_code = 0;      ///< the status of a regular end
  bool once = false;      ///< echo ends after its first client
  bool sdnotify = false;  ///< tell systemd more than READY=1: STATUS=, WATCHDOG=1, STOPPING=1
};

/// Nothing when --help or --version has been answered. Throws Failure for a command line it cannot use.
std::optional<PayloadOptions> parse_payload_options(const std::vector<std::string>& words);

}  // namespace fdchain
