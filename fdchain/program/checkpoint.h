// FDCHAIN_STOP and FDCHAIN_DELAY: stop or slow a hop at a named moment, for a debugger or a test.
#pragma once

#include "fdchain/model/environment.h"
#include "fdchain/model/hop.h"
#include "fdchain/plan/hand_over.h"

namespace fdchain {

/// Does what FDCHAIN_STOP=HOP:MOMENT[,…] and FDCHAIN_DELAY=HOP:MOMENT=MILLISECONDS[,…] ask for here. A stop
/// is announced on stderr with the pid. Throws Failure for a value it cannot read.
void checkpoint(const Environment& environment, Hop hop, Moment moment);

/// The same for the moment of departure, which the child reaches: an edit of its plan.
void add_departure_checkpoint(const Environment& environment, HandOver& next);

}  // namespace fdchain
