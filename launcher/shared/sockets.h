#pragma once

#include "launcher/shared/options.h"
#include "launcher/shared/plan.h"

namespace fdchain {

/// Opens what --listen and --unit ask for, into `sockets`, and writes --listen-report. `sockets.inherited` is
/// known by then.
void open_sockets(const RunOptions& options, Sockets& sockets);

/// What --listen-report says: a JSON object. Each socket has its number at the payload, or none where the
/// payload gets connections instead.
std::string describe_sockets(const RunOptions& options, const Sockets& sockets);

}  // namespace fdchain
