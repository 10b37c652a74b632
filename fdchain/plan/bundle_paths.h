// Paths of config.json that mean a place on the host, which start from the bundle.
#pragma once

#include <string>
#include <vector>

#include "fdchain/model/oci_config.h"

namespace fdchain {

/// A bind mount, by its type or by an option.
bool is_bind(const oci::Mount& mount);

/// `path` itself, or, when it is relative, the one below `bundle`.
std::string path_in_bundle(const std::string& bundle, const std::string& path);

/// Makes the relative sources of bind mounts absolute. What another mount calls its source is no path.
void resolve_bind_sources(std::vector<oci::Mount>& mounts, const std::string& bundle);

/// Whether `path`, written as one below `bundle`, is by a symbolic link somewhere else: at `real`. What is
/// written as a path outside is meant so.
bool link_leads_out(const std::string& bundle, const std::string& path, const std::string& real);

}  // namespace fdchain
