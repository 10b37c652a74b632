#pragma once

#include <optional>
#include <string>

#include "fdchain/system/fd/owned_fd.h"
#include "launcher/oci/directory.h"

namespace fdchain {

/// Where a conmon publishes how its container has ended.
class ExitFile {
 public:
  /// What can be read when something has happened to it. The directory has to be there.
  void watch(const ContainerPlace& place, const std::string& id);

  [[nodiscard]] const OwnedFd& changes() const { return changes_; }

  /// Has taken note of what has happened until now.
  void forget_changes() const;

  /// The run's status; nothing as long as there is none.
  [[nodiscard]] std::optional<int> status() const;

  /// Whether the monitor had to end the container, since --timeout was over.
  [[nodiscard]] bool says_timed_out() const;

 private:
  std::string path_;
  OwnedFd changes_;  // inotify
};

}  // namespace fdchain
