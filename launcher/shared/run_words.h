#pragma once

#include <string>
#include <vector>

#include "launcher/shared/options.h"

namespace fdchain {

/// The words after `launcher` that ask for this run without its sockets, with every path absolute: for a
/// process with another working directory.
std::vector<std::string> to_words(const RunOptions& options);

}  // namespace fdchain
