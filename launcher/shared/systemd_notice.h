#pragma once

#include <sys/types.h>

#include "fdchain/system/trace/arrival.h"
#include "launcher/shared/options.h"

namespace fdchain {

/// Tells systemd what is the launcher's to tell.
///
/// A launcher that stays is the service's main process: it ends last, with the payload's status. One that
/// leaves hands that over to the monitor, as podman does to conmon.
void notify_systemd(const RunOptions& options, const Arrival& arrival, pid_t monitor);

}  // namespace fdchain
