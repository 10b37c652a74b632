#pragma once

#include "runtime-shim/oci/journal.h"
#include "runtime-shim/oci/store.h"

namespace fdchain::oci {

/// What is left to do for a container that has stopped: its poststop hooks, whose failures are warnings, and
/// its directory.
void forget_container(const Entry& entry, const Journal& journal);

}  // namespace fdchain::oci
