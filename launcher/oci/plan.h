// What a container's run will be, as values: the monitor's command line, the runtime's words, config.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/oci_config.h"
#include "fdchain/plan/edits/fault.h"
#include "fdchain/protocol/conmon_cli.h"
#include "launcher/oci/directory.h"
#include "launcher/shared/options.h"
#include "launcher/shared/plan.h"

namespace fdchain {

/// One container: who makes it, where, and of what.
struct ContainerRun {
  const RunOptions& options;
  Environment environment;  ///< for the monitor
  ListenEnv inherited;      ///< the sockets it was given
  int kept_end = 0;         ///< one past the last descriptor that it passes of those it was given
  ContainerPlace place;
  std::string id;
  std::string monitor;  ///< the path of a conmon
  std::string runtime;  ///< the path of an OCI runtime

  [[nodiscard]] int socket_count() const { return inherited.count + static_cast<int>(options.listen.size()); }
};

/// Whether the runtime needs what crun needs: cgroups of version 2 alone, and to be told of no manager for
/// them.
bool runs_crun(const ContainerRun& run);

/// What every call of the runtime has before its command.
std::vector<std::string> runtime_words(const ContainerRun& run);

/// The notify socket to which the payload's words are to be forwarded, if there is one.
std::optional<std::string> notify_socket_of(const ContainerRun& run);

/// `config.json`.
oci::Config config_of(const ContainerRun& run);

/// What the monitor is told.
ConmonOptions conmon_options(const ContainerRun& run, std::vector<std::string> exit_command_args);

/// The hand-over to the monitor. `exit_command_args` are what it is to call this launcher with at the end.
HopPlan plan_conmon(const ContainerRun& run, const Handles& handles,
                    std::vector<std::string> exit_command_args);

}  // namespace fdchain
