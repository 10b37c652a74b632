#pragma once

#include <vector>

#include "fdchain/plan/edits/fault.h"

namespace fdchain::faults {

std::vector<Fault> environment_faults();
std::vector<Fault> descriptor_faults();
std::vector<Fault> conduct_faults();

}  // namespace fdchain::faults
