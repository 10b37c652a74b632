#pragma once

#include <string>
#include <vector>

#include "launcher/options.h"

namespace fdchain {

/// `launcher generate systemd NAME [--files] [run options]`: prints the units for a run, or writes them into
/// the working directory. Returns the exit status.
int generate(const std::vector<std::string>& words);

/// The words after `launcher` that ask for this run without its sockets, with every path absolute: for a
/// process with another working directory.
std::vector<std::string> to_words(const RunOptions& options);

}  // namespace fdchain
