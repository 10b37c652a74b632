#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/isolation.h"

namespace fdchain {

/// The shim's command line, in the native dialect.
struct ShimOptions {
  int sync_fd = -1;                      ///< where the monitor listens for a failure; -1 when nobody does
  int preserve_fds = 0;                  ///< descriptors after the window to pass on
  std::vector<std::string> environment;  ///< NAME=VALUE, for the payload alone
  std::vector<std::string> config_environment;  ///< NAME=VALUE, LISTEN_* as a config.json would have them
  std::string workdir;                          ///< empty to stay
  Isolation isolation;
  std::vector<std::string> payload;  ///< the program with its arguments
};

/// Nothing when --help or --version has been answered. Throws Failure for a command line it cannot use.
std::optional<ShimOptions> parse_shim_options(const std::vector<std::string>& words);

}  // namespace fdchain
