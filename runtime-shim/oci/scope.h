// What of a configuration this runtime does not carry out: refused where somebody relies on it, told where
// callers such as podman say it by default.
#pragma once

#include <string>
#include <vector>

#include "fdchain/protocol/oci_cli.h"
#include "fdchain/protocol/oci_config.h"

namespace fdchain::oci {

/// What will be ignored, a sentence each. Throws Failure for what is refused; with --strict that is all of
/// it.
std::vector<std::string> check_scope(const Config& config, const Command& command);

}  // namespace fdchain::oci
