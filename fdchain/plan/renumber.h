#pragma once

#include <span>
#include <vector>

#include "fdchain/plan/step.h"

namespace fdchain {

/// A descriptor of this process, and the number at which the next program shall find it.
struct Move {
  int source = -1;
  int target = -1;
  bool inheritable = false;  ///< `source` is not close-on-exec: where it stands, it survives exec as it is

  friend bool operator==(const Move&, const Move&) = default;
};

/// Works out how to bring every source to its target without overwriting one that a later step still reads.
///
/// Any mapping is allowed: cycles, one source for several targets, sources below, in and above the targets;
/// only the targets must differ. What is in its place already costs nothing. `scratch` is a number that is
/// neither source nor target nor needed by the child otherwise; it is used for cycles only, and one is enough
/// for any number of them.
///
/// Pure arithmetic: nothing is opened or duplicated, so a test can state the whole answer and `launcher
/// dry-run` can print it.
std::vector<Step> plan_renumber(std::span<const Move> moves, int scratch);

}  // namespace fdchain
