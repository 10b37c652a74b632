// What of a configuration this runtime does not carry out: refused where somebody relies on it, told where
// callers such as podman say it by default.
#pragma once

#include <string>
#include <vector>

#include "fdchain/protocol/oci_cli.h"
#include "fdchain/protocol/oci_config.h"
#include "runtime-shim/oci/journal.h"

namespace fdchain::oci {

/// What will be ignored, a sentence each. Throws Failure for what is refused; with --strict that is all of
/// it.
std::vector<std::string> check_scope(const Config& config, const Command& command);

/// The same for a process that joins a container.
std::vector<std::string> check_scope(const Process& process, const Command& command);

/// Throws Failure for a name that the host would get. `own`: the types of the container's own namespaces.
void check_names(const Config& config, const std::vector<std::string>& own);

/// Tells of it, in one line: that may come to lie among the container's own.
void warn_of(const std::vector<std::string>& ignored, const Journal& journal);

}  // namespace fdchain::oci
