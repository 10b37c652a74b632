#pragma once

#include "launcher/shared/caretaker.h"
#include "launcher/shared/options.h"
#include "launcher/shared/plan.h"

namespace fdchain {

/// Opens what --listen and --unit ask for, into `sockets`, and writes --listen-report. `sockets.inherited` is
/// known by then. The caretaker, where there is one, is told of each name that is made.
void open_sockets(const RunOptions& options, Sockets& sockets, const Caretaker* caretaker);

/// Whether that can make names in the system, which somebody has to remove.
bool makes_names(const RunOptions& options);

/// Removes the names of which a caretaker has been told.
void remove_names(const Caretaker::Notes& notes);

/// What --listen-report says: a JSON object. Each socket has its number at the payload, or none where the
/// payload gets connections instead.
std::string describe_sockets(const RunOptions& options, const Sockets& sockets);

}  // namespace fdchain
