// Whom a container's process runs as, and what it may do: the last changes that it makes to itself.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "fdchain/model/oci_config.h"

namespace fdchain::oci {

/// Throws Failure for a name that no limit has, before anything is done.
void check_privileges(const Process& process);

/// The names in `process.capabilities` that are no capability of this build's, once each. They are passed
/// over: a caller may know a newer kernel.
std::vector<std::string> unknown_capabilities(const Process& process);

/// Raises hard limits of `pid` for it: in a user namespace of its own it could not do that itself.
void raise_hard_limits(pid_t pid, const Process& process);

/// Sets the limits of this process. Those that were to be raised have been.
void set_limits(const Process& process);

/// Gives stdio to the user, so that /dev/stdout can be opened by it; what refuses is left as it is.
void give_stdio_to(const User& user);

/// Which supplementary groups the process has: those of its configuration, or those of the runtime's caller,
/// which an ordinary user could not give back.
enum class Groups { as_configured, of_caller };

/// What the annotation run.oci.keep_original_groups asks for, as with crun.
Groups wanted_groups(const std::map<std::string, std::string>& annotations);

/// Becomes the user, with the groups, the capabilities and no others. Nothing that needs privileges can
/// follow.
void take_privileges(const Process& process, Groups groups);

}  // namespace fdchain::oci
