#pragma once

#include "fdchain/model/environment.h"
#include "fdchain/model/fd_table.h"
#include "fdchain/system/adopt.h"

namespace fdchain {

/// Prints on stdout, as one JSON object, what the payload got: its pid, what adopting the sockets returned,
/// the descriptor table of its arrival and the environment variables that belong to the chain.
void print_report(const FdTable& table, const Environment& environment, const Adoption& adoption);

}  // namespace fdchain
