// Runs one drawn chain, and judges what it has left in the trace.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/finding.h"
#include "integration/campaign/draw.h"

namespace fdchain::campaign {

/// What came of a run.
struct Outcome {
  bool refused = false;           ///< a fault had nothing to work on: to be drawn again
  std::vector<Finding> findings;  ///< by the judge, from the trace alone
  std::string command;            ///< what was run, to be repeated by hand
};

/// The activator's part, the chain, and the judge's. Afterwards nothing of it is left. Throws when it does
/// not end.
Outcome execute(const Run& run, const std::string& directory);

}  // namespace fdchain::campaign
