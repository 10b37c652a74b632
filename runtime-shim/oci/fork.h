// Making a process in namespaces, seen from the runtime.
#pragma once

#include <sys/types.h>

#include <functional>

#include "runtime-shim/oci/container.h"

namespace fdchain::oci {

/// What a new process runs: it must not return.
using ChildMain = std::function<void()>;

/// Forks into new namespaces. The child is this process's, whoever of the two dies first.
pid_t fork_into(int new_namespaces, const ChildMain& child_main);

/// The same for namespaces that exist and can only be given to a child: by way of a helper, which enters
/// them, makes the process as this process's own child, and is gone when this returns. `process` has been
/// favoured then.
///
/// `pipe` is the runtime's end of the stage pipe, on which the helper speaks first; the other end is closed
/// here when the helper has it.
pid_t fork_by_helper(const Process& process, const std::function<void()>& enter, int new_namespaces,
                     const ChildMain& child_main, const OwnedFd& pipe, OwnedFd& others_pipe);

/// Writes the users of the new user namespace of `pid`.
void map_users(pid_t pid, const Linux& linux_);

/// Does what the process could not do itself in a user namespace: raises its hard limits, and sets its score
/// for the kernel that has no memory left. It must not have begun yet: a process that has changed its user is
/// out of an ordinary runtime's reach, and its own limits come too early.
void favour(pid_t pid, const Process& process);

/// Kills and reaps it.
void end_child(pid_t pid);

}  // namespace fdchain::oci
