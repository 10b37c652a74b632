// An OCI runtime, as the launcher calls it and understands it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/oci/command.h"
#include "launcher/oci/plan.h"

namespace fdchain {

/// Calls the runtime of `run`, with what comes before its command. `signal_mask` is that of before the run.
Outcome call_runtime(const ContainerRun& run, const std::vector<std::string>& words,
                     const sigset_t& signal_mask, std::chrono::milliseconds limit,
                     const std::function<bool()>& given_up = {});

/// The last error in the runtime's log, as podman reads it.
std::optional<std::string> last_error_in(const std::string& runtime_log);

/// The run's status for what a runtime says when it refuses, by podman's reading.
int status_of_refusal(std::string said);

/// Without newlines at its end, and fit to be printed.
std::string one_line(std::string text);

/// What it has said, or what has become of it: it may have been killed.
std::string why_not(const Outcome& outcome);

}  // namespace fdchain
