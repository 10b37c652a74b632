#pragma once

#include <string>
#include <string_view>

#include "fdchain/model/environment.h"
#include "launcher/shared/options.h"

namespace fdchain {

/// Whether the program at a hop is fdchain's: the one that comes with this launcher, or one whose `--version`
/// names fdchain. What cannot be executed at all counts as ours.
bool is_ours(const std::string& program, std::string_view own_name, const Environment& environment);

/// Fills in in which words the hops of this run talk: as --dialect says; else natively when monitor and
/// runtime are ours. What cannot be executed at all is left to the native dialect to complain of.
///
/// In the OCI dialect the payload is in a container: --pid private is the default there, and what cannot be
/// had in one throws Failure.
void choose_dialect(RunOptions& options, const Environment& environment);

}  // namespace fdchain
