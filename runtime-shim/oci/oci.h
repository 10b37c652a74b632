// The dialect of OCI runtimes: what podman, conmon and people say to crun and runc.
#pragma once

#include <string>
#include <vector>

#include "fdchain/system/trace/arrival.h"

namespace fdchain::oci {

/// Carries out one call, and returns its exit status: 1 when it failed, 255 for `exec`, as crun and runc do;
/// for `run` and `exec` that succeeded, the payload's.
int serve(const std::vector<std::string>& words, const Arrival& arrival, char** argv);

}  // namespace fdchain::oci
