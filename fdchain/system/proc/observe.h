#pragma once

#include <optional>
#include <string>

#include "fdchain/model/fd_table.h"
#include "fdchain/system/exec/raw_row.h"

namespace fdchain {

/// What one descriptor of this process is; nothing when it is not open.
std::optional<FdRow> observe_fd(int fd);

/// The same of a listening socket, with who waits on it now; nothing of anything else.
std::optional<FdRow> observe_queue(int fd);

/// Every descriptor of this process but the one that reading the list takes.
///
/// Opens, reads and closes /proc/self/fd, and changes nothing.
FdTable observe_fds();

/// A whole row out of these numbers: described as `known` is, a row of the same object, else by its mode and
/// by what its link in /proc/PID/fd says.
FdRow describe_row(const RawRow& raw, const std::string& link, const FdRow* known);

}  // namespace fdchain
