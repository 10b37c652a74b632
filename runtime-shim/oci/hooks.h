#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/environment.h"
#include "fdchain/model/oci_config.h"
#include "runtime-shim/oci/interruption.h"

namespace fdchain::oci {

/// What a container's hooks are run with.
struct HookCall {
  std::string_view kind;                                  ///< poststop, for messages
  const std::string& state;                               ///< on stdin
  const std::map<std::string, std::string>& annotations;  ///< run.oci.hooks.stdout and .stderr name files
  Environment environment;                                ///< of a hook for which none is configured
};

/// Runs the hooks one after the other and waits for their ends. Throws Failure, naming the hook, for the
/// first that cannot be run, does not end within its timeout, or ends with another status than 0. An
/// `interruption`, if there is one, ends the hook, and throws.
///
/// What a hook writes goes to the files that the annotations name, as with crun. Without them it is kept, and
/// told with the failure: this process's own stdout and stderr are the container's.
void run_hooks(const std::vector<Hook>& hooks, const HookCall& call,
               const Interruption* interruption = nullptr);

/// The environment of this process for a hook: without the announcement of sockets, which are not the hook's.
Environment environment_for_hooks();

}  // namespace fdchain::oci
