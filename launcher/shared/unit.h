#pragma once

#include <string>
#include <vector>

#include "fdchain/model/listen_spec.h"

namespace fdchain {

/// What the .socket unit at `path` asks for, with the drop-ins beside it; what is not done of it is said on
/// stderr, a line each. Throws Failure for a file that is no such unit.
std::vector<ListenSpec> read_socket_unit(const std::string& path);

}  // namespace fdchain
