// Whom a container's process runs as, and what it may do: the last changes that it makes to itself.
#pragma once

#include <sys/types.h>

#include "fdchain/model/oci_config.h"

namespace fdchain::oci {

/// Throws Failure for a name that no limit or capability has, before anything is done.
void check_privileges(const Process& process);

/// Raises hard limits of `pid` for it: in a user namespace of its own it could not do that itself.
void raise_hard_limits(pid_t pid, const Process& process);

/// Sets the limits of this process. Those that were to be raised have been.
void set_limits(const Process& process);

/// Gives stdio to the user, so that /dev/stdout can be opened by it; what refuses is left as it is.
void give_stdio_to(const User& user);

/// Becomes the user, with the groups, the capabilities and no others. Nothing that needs privileges can
/// follow.
void take_privileges(const Process& process);

}  // namespace fdchain::oci
