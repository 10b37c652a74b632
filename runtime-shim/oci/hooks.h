#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/oci_config.h"

namespace fdchain::oci {

/// Runs the hooks one after the other, each with `state` on its stdin, and waits for their ends. Throws
/// Failure, naming the hook as one of `kind`, for the first that cannot be run, does not end within its
/// timeout, or ends with another status than 0.
void run_hooks(const std::vector<Hook>& hooks, std::string_view kind, const std::string& state);

}  // namespace fdchain::oci
