// What the host says of itself.
#pragma once

#include <map>
#include <string>

namespace fdchain {

/// Each is empty where the host does not say.
struct HostFacts {
  std::string name;                               ///< of uname(2), like the next two
  std::string release;                            ///< the kernel's
  std::string machine;                            ///< `x86_64`
  std::string machine_id;                         ///< /etc/machine-id
  std::string boot_id;                            ///< 32 digits
  std::map<std::string, std::string> os_release;  ///< os-release(5), the values as they are written there
};

HostFacts host_facts();

}  // namespace fdchain
