#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/hop_record.h"

namespace fdchain {

/// This process at this moment.
HopRecord observe_process(Hop hop, Moment moment);

/// Another process, from outside: what /proc tells. Sockets are described by rows of `known` with the same
/// identity, this process's own most of all; for what both hold, `same_as` is found out with kcmp(2) where
/// that is permitted. At other sockets it takes a short look by pidfd_getfd(2).
///
/// Nothing when the process has gone, or changes programs faster than it can be read.
std::optional<HopRecord> observe_other(pid_t pid, Hop hop, Moment moment, Hop seen_by, const FdTable& known);

/// What a monitor or a runtime is told on its command line.
void take_told(HopRecord& record, const std::vector<std::string>& command_line);

/// The children of this process, zombies included.
std::vector<ProcessRow> observe_children();

/// What a trace has of an environment, out of NAME=VALUE strings: see is_chain_variable().
std::map<std::string, std::string> chain_variables(const std::vector<std::string_view>& assignments);

/// The numbers of the signals in a mask of /proc/PID/status: bit n-1 for signal n.
std::vector<int> signals_of(std::uint64_t mask);

/// CLOCK_MONOTONIC, for HopRecord::time_ns.
std::uint64_t monotonic_ns();

}  // namespace fdchain
