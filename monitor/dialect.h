#pragma once

#include <string>
#include <vector>

namespace fdchain {

/// Whether a command line is conmon's and not `monitor [OPTIONS] -- RUNTIME`: the one place where that is
/// decided, from the words alone.
///
/// It is conmon's when an option that only conmon has stands where the native dialect would read its own, or
/// when all it says is --version, as podman asks a conmon, or nothing at all. Behind the first word that is
/// no option everything is RUNTIME's, also where conmon would pass over that word: `monitor conmon --cid x`
/// runs conmon.
bool is_conmon_command_line(const std::vector<std::string>& words);

}  // namespace fdchain
