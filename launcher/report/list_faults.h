#pragma once

#include <string>
#include <vector>

namespace fdchain {

/// `launcher faults [--json]`: every mistake a hop can be told to make, and the real bug it replays.
int list_faults(const std::vector<std::string>& words);

}  // namespace fdchain
