// Kernel parameters of config.json: the file of each, if it is the container's to set.
#pragma once

#include <string>
#include <vector>

#include "fdchain/model/oci_config.h"

namespace fdchain {

/// The path below /proc/sys of the parameter `name`, with dots or slashes as sysctl(8) takes it. `own` are
/// the types of the namespaces that are the container's and not its maker's. Throws Failure for a parameter
/// of another one or of the machine, and for one that config.json has a property for.
std::string sysctl_path(const oci::Config& config, const std::vector<std::string>& own,
                        const std::string& name);

}  // namespace fdchain
