// The container of a run in the OCI dialect: what its config.json says.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/oci_config.h"
#include "launcher/shared/options.h"

namespace fdchain {

/// What the configuration has to know beside the options.
struct ContainerFacts {
  std::string root;                       ///< an absolute path; the host's own root is shown there read-only
  std::vector<std::string> announcement;  ///< LISTEN_*, NAME=VALUE
  std::optional<std::string> notify_socket;     ///< NOTIFY_SOCKET as the payload shall have it
  std::optional<std::string> notify_directory;  ///< what is to be seen at its directory, if anything
};

/// The configuration of a container that runs the payload as process 1, with the capabilities and the devices
/// that podman gives, and nothing that a runtime would need cgroups for.
oci::Config container_config(const RunOptions& options, const ContainerFacts& facts);

}  // namespace fdchain
