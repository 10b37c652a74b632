#pragma once

#include "fdchain/model/environment.h"
#include "launcher/options.h"

namespace fdchain {

/// Fills in in which words the hops of this run talk: as --dialect says; else natively when monitor and
/// runtime are ours. One that was given is ours when it says so: `PROGRAM --version` names fdchain. What
/// cannot be executed at all is left to the native dialect to complain of.
///
/// In the OCI dialect the payload is in a container: --pid private is the default there, and what cannot be
/// had in one throws Failure.
void choose_dialect(RunOptions& options, const Environment& environment);

}  // namespace fdchain
