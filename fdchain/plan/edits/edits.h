// What the edits of the catalogue have in common. For the files of this folder.
#pragma once

#include "fdchain/plan/edits/fault.h"

namespace fdchain::faults {

inline constexpr Hops every_hop{Hop::launcher, Hop::monitor, Hop::runtime_shim};

using Numbers = std::vector<int>;

/// Ends the run with status 2: the fault has nothing to work on.
[[noreturn]] void nothing_to_do(const std::string& why);

/// Takes what arrives at `target` out of its range, so that it can be changed alone. Refuses a number at
/// which nothing is passed.
FdPass& single(HandOver& next, int target);

/// Nothing is passed to the number any more.
void stop_passing(HandOver& next, int target);

/// Whether anything is passed to the number.
bool is_passed(const HandOver& next, int target);

/// One past the highest number that is passed.
int end_of_passed(const HandOver& next);

/// Refuses when no socket is passed.
void need_sockets(const HopContext& context);

void add_extra(HopPlan& plan, Step step, std::string why);

}  // namespace fdchain::faults
