#pragma once

#include <string>
#include <vector>

namespace fdchain {

/// `launcher diagnose [--json] [--run ID] [--contract …] TRACE`: 0 when no run has a finding, 1 when one has,
/// 2 when the trace cannot be judged.
int diagnose(const std::vector<std::string>& words);

/// `launcher report [--format F] [--run ID] TRACE`.
int report(const std::vector<std::string>& words);

}  // namespace fdchain
