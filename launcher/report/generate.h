#pragma once

#include <string>
#include <vector>

namespace fdchain {

/// `launcher generate systemd NAME [--files] [run options]`: prints the units for a run, or writes them into
/// the working directory. Returns the exit status.
int generate(const std::vector<std::string>& words);

}  // namespace fdchain
