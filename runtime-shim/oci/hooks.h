#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/oci_config.h"
#include "runtime-shim/oci/interruption.h"

namespace fdchain::oci {

/// Runs the hooks one after the other, each with `state` on its stdin, and waits for their ends. Throws
/// Failure, naming the hook as one of `kind`, for the first that cannot be run, does not end within its
/// timeout, or ends with another status than 0. An `interruption`, if there is one, ends the hook, and
/// throws.
void run_hooks(const std::vector<Hook>& hooks, std::string_view kind, const std::string& state,
               const Interruption* interruption = nullptr);

}  // namespace fdchain::oci
