#pragma once

#include <string>
#include <vector>

namespace fdchain {

/// `launcher profiles [--json]`: what --profile has real versions do, hop by hop.
int list_profiles(const std::vector<std::string>& words);

}  // namespace fdchain
