#pragma once

#include "fdchain/system/arrival.h"
#include "launcher/options.h"

namespace fdchain {

/// Prints what each hop would do, step by step, with a reason for each; opens, forks and executes nothing.
void dry_run(const RunOptions& options, Arrival& arrival);

}  // namespace fdchain
