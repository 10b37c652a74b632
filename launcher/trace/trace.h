#pragma once

#include <string>
#include <vector>

#include "fdchain/system/trace/arrival.h"

namespace fdchain {

/// `launcher trace [OPTIONS] [--] COMMAND [ARG…]`: runs a command, follows whatever it starts, and reports
/// each chain of launcher, monitor, runtime and payload among it. The command's exit status.
int trace(const std::vector<std::string>& words, Arrival arrival);

}  // namespace fdchain
