// A run for each connection: what systemd does for Accept=yes, and systemd-socket-activate for --accept.
#pragma once

#include "fdchain/system/trace/arrival.h"
#include "launcher/shared/options.h"

namespace fdchain {

/// Whether a socket is asked for whose connections get a run each. Throws Failure when another one is asked
/// for beside it, or anything else that only a single run can have.
bool wants_run_per_connection(const RunOptions& options, const Arrival& arrival);

/// Listens, and for each connection starts a launcher with that connection as its only socket, named
/// `connection`. Ends when a signal ends it, and passes that on to every run; returns 128 plus its number
/// when the last run has ended.
int serve_connections(const RunOptions& options, const Arrival& arrival);

}  // namespace fdchain
