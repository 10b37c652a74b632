#pragma once

#include "fdchain/program/announcement.h"
#include "launcher/shared/options.h"
#include "launcher/shared/plan.h"
#include "launcher/shared/witness.h"

namespace fdchain {

/// A run in the OCI dialect: a conmon, or a monitor that talks like one, and an OCI runtime, any of them
/// real.
///
/// Writes a bundle, has the monitor have the runtime make the container, starts it, relays signals, waits for
/// its end and leaves nothing behind. Returns the payload's status, with --detach 0. Throws Failure with the
/// run's status when the payload never ran.
int run_container(const RunOptions& options, Arrival& arrival, const AcceptedFds& accepted, Sockets& sockets,
                  Witness& witness);

}  // namespace fdchain
