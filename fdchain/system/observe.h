#pragma once

#include <optional>

#include "fdchain/model/fd_table.h"

namespace fdchain {

/// What one descriptor of this process is; nothing when it is not open.
std::optional<FdRow> observe_fd(int fd);

/// Every descriptor of this process but the one that reading the list takes.
///
/// Opens, reads and closes /proc/self/fd, and changes nothing.
FdTable observe_fds();

}  // namespace fdchain
