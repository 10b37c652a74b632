#pragma once

#include <sys/types.h>

#include <span>
#include <string_view>
#include <vector>

#include "fdchain/system/proc/process_info.h"

namespace fdchain {

/// The children of this process, zombies included; a subreaper's are also the orphans it inherited.
std::vector<pid_t> children_of_this_process();

/// The same by a look at every process, for kernels without CONFIG_PROC_CHILDREN.
std::vector<pid_t> children_by_search();

/// 0 of a process that is gone, or has no parent in this pid namespace.
pid_t parent_of(pid_t pid);

/// Every process that has `word` as one of the words of its command line.
std::vector<proc::Process> processes_with_argument(std::string_view word);

/// Whether this process has a child, living or zombie. One system call.
bool has_children();

/// Whether `pid` is a child of this process, living or zombie: its number is its own until it is reaped here.
bool is_child(pid_t pid);

/// Whether `pid` is below this process, however deep, and alive.
bool is_descendant(pid_t pid);

/// Kills and reaps every child of this process, and every orphan that this leaves to it, until there is none
/// but those in `spared`, which are neither killed nor reaped. Returns how many it has killed.
///
/// For a subreaper: what a payload leaves running ends with it, as in a pid namespace of its own. A child
/// that cannot be killed, because it has changed its user, is left.
int end_all_children(std::span<const pid_t> spared = {});

}  // namespace fdchain
