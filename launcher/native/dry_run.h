#pragma once

#include "launcher/shared/dry_run.h"

namespace fdchain {

/// The hops of the native dialect: each with what the one before has planned for it.
void plan_chain(DryRun& run);

}  // namespace fdchain
