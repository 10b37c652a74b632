// The mounts of a process as the kernel lists them: /proc/PID/mountinfo, as values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fdchain {

struct MountInfo {
  int id = 0;
  int parent = 0;
  std::string root;   ///< the path inside its file system that it shows; / for all of it
  std::string point;  ///< where it is, seen from the process's root
  std::string type;   ///< proc

  friend bool operator==(const MountInfo&, const MountInfo&) = default;
};

/// In the kernel's order. A line that is no mount is left out.
std::vector<MountInfo> parse_mountinfo(std::string_view text);

/// The numbers of `mount`, of the mount that it is on, and so on.
std::vector<int> mounts_below(int mount, const std::vector<MountInfo>& mounts);

/// Those that are neither `top` nor mounted somewhere in its tree.
std::vector<MountInfo> mounts_outside(int top, std::vector<MountInfo> mounts);

}  // namespace fdchain
