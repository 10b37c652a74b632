#pragma once

#include <vector>

#include "fdchain/model/environment.h"
#include "fdchain/plan/edits/fault.h"
#include "fdchain/plan/edits/profile.h"

namespace fdchain {

/// The edits of plans that somebody asked for.
struct AskedEdits {
  std::vector<FaultRequest> faults;
  ProfileChoice profiles;
};

/// Reads FDCHAIN_FAULT and FDCHAIN_PROFILE: once in a hop, at its door. Throws Failure with status 2.
AskedEdits asked_edits(const Environment& environment);

}  // namespace fdchain
