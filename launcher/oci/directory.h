// The directory of one container: what its monitor, its runtime and whoever cleans up find there.
#pragma once

#include <string>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// The names in a container's directory. A plain value: it removes nothing by itself.
struct ContainerPlace {
  std::string path;

  [[nodiscard]] std::string bundle() const { return path + "/bundle"; }
  [[nodiscard]] std::string notify() const { return bundle() + "/notify"; }  ///< conmon's, by its own choice
  [[nodiscard]] std::string exits() const { return path + "/exits"; }
  [[nodiscard]] std::string state() const { return path + "/state"; }  ///< the runtime's
  [[nodiscard]] std::string root() const { return path + "/root"; }    ///< where the host's root is shown
  [[nodiscard]] std::string pidfile() const { return path + "/pid"; }
  [[nodiscard]] std::string monitor_pidfile() const { return path + "/monitor.pid"; }
  [[nodiscard]] std::string runtime_log() const { return path + "/runtime.log"; }
  [[nodiscard]] std::string lock() const { return path + "/lock"; }
};

/// Makes the directory, for its owner alone.
void make(const ContainerPlace& place);

/// Waits until nobody else holds the place, and holds it. Not open when the place has gone meanwhile.
OwnedFd hold(const ContainerPlace& place);

/// Removes all of it. What is mounted at root() is let go of first, and never entered.
void remove(const ContainerPlace& place);

/// Leaves for a mount namespace in which the host's root is shown at `root`, read-only with everything that
/// is mounted below it. Throws Failure where that cannot be had.
void show_host_root(const std::string& root);

/// crun refuses the mixture of cgroup versions that some hosts have mounted. In this process's own mount
/// namespace it finds version 2 alone.
void show_cgroup2_alone();

/// Enters a mount namespace of this process's own, to which the host's later mounts still come.
void enter_own_mounts();

}  // namespace fdchain
