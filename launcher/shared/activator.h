#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/system/trace/arrival.h"
#include "launcher/shared/options.h"

namespace fdchain {

/// The announcement of an activator with the faults that were asked for; nothing when none was.
std::optional<HopPlan> plan_activator(const RunOptions& options, const Arrival& arrival);

/// Plays the activator for faults of the activator: execs this launcher again, in place, with an announcement
/// and descriptors that are wrong, and without those faults. Does nothing, and returns, when none was asked
/// for.
void commit_activator_faults(const RunOptions& options, const Arrival& arrival,
                             const std::vector<std::string>& words);

}  // namespace fdchain
