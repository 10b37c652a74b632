#pragma once

#include "fdchain/system/arrival.h"
#include "launcher/options.h"

namespace fdchain {

/// Runs the chain: opens what is to be opened, double-forks the monitor, and waits for the payload's end, or,
/// with
/// --detach, for its start. Returns the run's exit status; throws Failure when a hop failed.
int run_chain(const RunOptions& options, Arrival arrival);

}  // namespace fdchain
