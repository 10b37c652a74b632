#pragma once

#include "fdchain/program/announcement.h"
#include "fdchain/system/trace/arrival.h"
#include "launcher/shared/options.h"
#include "launcher/shared/plan.h"
#include "launcher/shared/witness.h"

namespace fdchain {

/// One dialect's way to run what comes after the launcher: opens what is to be opened, and returns the run's
/// exit status. When it fails it says to the witness what there was, and throws.
using RunDialect = int (*)(const RunOptions& options, Arrival& arrival, const AcceptedFds& accepted,
                           Sockets& sockets, Witness& witness);

/// Runs the chain, judges it and reports, as the options ask for. Returns the exit status; a failed hop is
/// said on stderr.
int run_chain(const RunOptions& options, Arrival arrival, RunDialect run_dialect);

}  // namespace fdchain
