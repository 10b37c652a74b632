#pragma once

#include "runtime-shim/oci/journal.h"
#include "runtime-shim/oci/store.h"

namespace fdchain::oci {

/// Kills the container's first process, if it is there, and waits for its end.
void end_container(const State& state);

/// What is left to do for a container that has stopped: its poststop hooks, whose failures are warnings, and
/// its directory. False when the directory has something in it that is not this runtime's: that stays.
bool forget_container(const Entry& entry, const Journal& journal);

}  // namespace fdchain::oci
