#pragma once

#include <string>
#include <vector>

#include "integration/runner/scenario.h"

namespace fdchain::test {

/// What came of a scenario.
struct Played {
  int exit_status = 0;
  std::vector<ExpectedFinding> findings;
  std::string report;  ///< the text report, with roles for pids
  std::string said;    ///< on stderr
  std::string repeat;  ///< the command that does it again
};

/// Runs a scenario; its trace stands in `trace` afterwards. Nothing else of it is left. Throws when it does
/// not end within the deadline.
Played play(const Scenario& scenario, const std::string& trace);

}  // namespace fdchain::test
