#pragma once

#include "launcher/shared/dry_run.h"

namespace fdchain {

/// The hops of the OCI dialect. What a real monitor and a real runtime make of what they are told is not ours
/// to plan.
void plan_container(DryRun& run);

}  // namespace fdchain
