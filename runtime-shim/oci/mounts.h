// The file system of a container, made in its own process while that still sees the host's.
//
// Every path of config.json that is meant inside the container is resolved inside its root, symbolic links
// included (openat2 with RESOLVE_IN_ROOT), and what is mounted is mounted on the descriptor that this gave:
// nothing between looking and mounting can lead out. New mounts are made by fsopen(2), open_tree(2) and
// mount_setattr(2), so that each has its final attributes before it can be seen.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fdchain/model/oci_config.h"
#include "fdchain/plan/mount_options.h"
#include "fdchain/system/fs/rootfs.h"

namespace fdchain::oci {

/// A mount that is read-only as soon as everything in it has been made.
struct ReadOnlyLater {
  OwnedFd tree;
  MountAttributes attributes;
  std::string destination;
};

/// A container's root file system while it is made.
struct RootInMaking {
  RootDirectory directory;
  std::vector<ReadOnlyLater> read_only_later;
  std::map<int, bool> mounts;  ///< by their numbers: whether it shows a directory of the host's
  bool has_pts = false;        ///< something is mounted on /dev/pts
};

/// Takes this process's mount namespace away from the host's, and makes `root` a mount point in it.
RootInMaking prepare_rootfs_propagation(const std::string& root, const std::string& propagation);

/// Everything that config.json mounts, the device files, and the links of /dev. `in_user_namespace`: device
/// files cannot be made, and are the host's. `warnings` says what could not be had as it was asked for.
void make_mounts(const Config& config, RootInMaking& root, bool in_user_namespace,
                 std::vector<std::string>& warnings);

/// Shows the terminal that is open as `terminal` as the container's /dev/console.
void show_console(const RootInMaking& root, int terminal);

/// What shall not be seen, and what shall not be written; then the root itself, when it is read-only.
void protect_paths(const Config& config, const RootInMaking& root);

/// Sets the kernel parameters. `own`: the types of the container's own namespaces. Throws Failure for a
/// parameter that is not theirs.
void set_sysctls(const Config& config, const std::vector<std::string>& own);

}  // namespace fdchain::oci
