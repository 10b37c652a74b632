#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/environment.h"
#include "fdchain/model/oci_config.h"
#include "fdchain/system/fd/owned_fd.h"
#include "runtime-shim/oci/interruption.h"

namespace fdchain::oci {

/// The files that the annotations run.oci.hooks.stdout and run.oci.hooks.stderr name, as with crun. They are
/// the runtime's: not open where the hooks are run, which may be in the container.
struct HookFiles {
  OwnedFd out;
  OwnedFd err;
};

/// Opens those that are named, if there are hooks to write to them. Close-on-exec.
HookFiles open_hook_files(const Config& config);

/// What a container's hooks are run with.
struct HookCall {
  std::string_view kind;     ///< poststop, for messages
  const std::string& state;  ///< on stdin
  const HookFiles& files;
  Environment environment;  ///< of a hook for which none is configured
};

/// Runs the hooks one after the other and waits for their ends. Throws Failure, naming the hook, for the
/// first that cannot be run, does not end within its timeout, or ends with another status than 0. An
/// `interruption`, if there is one, ends the hook, and throws.
///
/// What a hook writes goes to the files. Without them it is kept, and
/// told with the failure: this process's own stdout and stderr are the container's.
void run_hooks(const std::vector<Hook>& hooks, const HookCall& call,
               const Interruption* interruption = nullptr);

/// The environment of this process for a hook: without the announcement of sockets, which are not the hook's.
Environment environment_for_hooks();

}  // namespace fdchain::oci
