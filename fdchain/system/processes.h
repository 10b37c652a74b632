#pragma once

#include <sys/types.h>

#include <vector>

namespace fdchain {

/// The children of this process, zombies included; a subreaper's are also the orphans it inherited.
std::vector<pid_t> children_of_this_process();

/// Kills and reaps every child of this process, and every orphan that this leaves to it, until there is none.
///
/// For a subreaper: what a payload leaves running ends with it, as in a pid namespace of its own.
void end_all_children();

/// Kills every process of a session. For cleaning up after a session leader that died too soon to do it.
void end_session(pid_t session);

}  // namespace fdchain
