// Kernel parameters of config.json: the file of each, if it is the container's to set.
#pragma once

#include <string>

#include "fdchain/model/oci_config.h"

namespace fdchain {

/// The path below /proc/sys of the parameter `name`, with dots or slashes as sysctl(8) takes it. Throws
/// Failure for one that is the host's, or that config.json has a property of its own for.
std::string sysctl_path(const oci::Config& config, const std::string& name);

}  // namespace fdchain
