#pragma once

#include <string>
#include <vector>

#include "fdchain/system/trace/arrival.h"

namespace fdchain {

/// The monitor in conmon's dialect: what happens until it has left its caller's foreground, and then, in the
/// other process, the container's life. Returns the exit status of the process that returns.
int run_as_conmon(Arrival arrival, const std::vector<std::string>& words);

}  // namespace fdchain
