#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/listen_spec.h"
#include "fdchain/model/log_target.h"

namespace fdchain {

/// How systemd learns of the payload's state; podman's words.
enum class SdNotify {
  container,  ///< the payload itself tells
  conmon,     ///< the launcher tells, as soon as the payload runs
  ignore,     ///< nobody tells, and the payload cannot
};

/// What `launcher run` was asked to do.
struct RunOptions {
  std::vector<ListenSpec> listen;
  bool detach = false;
  int preserve_fds = 0;
  SdNotify sdnotify = SdNotify::container;
  LogTarget log;
  int timeout = 0;      ///< seconds; 0 for none
  std::string monitor;  ///< paths of the other hops
  std::string runtime;
  std::vector<std::string> environment;  ///< NAME=VALUE, for the payload alone
  std::string workdir;
  std::string name;
  std::string pidfile;
  std::string exit_file;
  std::vector<std::string> payload;
};

/// Nothing when --help or --version has been answered. Throws Failure for a command line it cannot use.
std::optional<RunOptions> parse_run_options(const std::vector<std::string>& words);

}  // namespace fdchain
