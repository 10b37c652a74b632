#pragma once

#include <span>

#include "fdchain/plan/edits/fault.h"

namespace fdchain::faults {

std::span<const Fault> environment_faults();
std::span<const Fault> descriptor_faults();
std::span<const Fault> conduct_faults();

}  // namespace fdchain::faults
