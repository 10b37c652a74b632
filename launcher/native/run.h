#pragma once

#include "fdchain/program/announcement.h"
#include "launcher/shared/options.h"
#include "launcher/shared/plan.h"
#include "launcher/shared/witness.h"

namespace fdchain {

/// A run in the native dialect: double-forks the monitor and waits for the payload's end, or, with --detach,
/// for its start. Returns the payload's status, with --detach 0; throws Failure when a hop failed.
int run_hops(const RunOptions& options, Arrival& arrival, const AcceptedFds& accepted, Sockets& sockets,
             Witness& witness);

}  // namespace fdchain
