#pragma once

#include <string>

namespace fdchain {

/// What of the host is kept from the payload.
struct Isolation {
  bool network = false;  ///< a network namespace with nothing but loopback
  bool pid = false;      ///< a pid namespace, whose process 1 it is
  bool user = false;     ///< a user namespace, whose root is the user of outside
  std::string rootfs;    ///< an absolute path; the directory that becomes its /; empty to keep the host's

  /// Whether the payload's mounts differ from the host's.
  [[nodiscard]] bool has_own_mounts() const { return pid || !rootfs.empty(); }

  friend bool operator==(const Isolation&, const Isolation&) = default;
};

}  // namespace fdchain
