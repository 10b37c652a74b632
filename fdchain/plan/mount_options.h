// The options of a mount in config.json, as what the kernel is to be asked for.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fdchain {

/// Attributes of one mount to switch on and off: MOUNT_ATTR_… of mount_setattr(2).
struct MountAttributes {
  std::uint64_t set = 0;
  std::uint64_t clear = 0;

  friend bool operator==(const MountAttributes&, const MountAttributes&) = default;
};

struct MountOptions {
  bool bind = false;
  bool recursive = false;              ///< a bind with everything mounted below its source
  MountAttributes attributes;          ///< of the mount itself
  MountAttributes everywhere;          ///< of all that a recursive bind brings along, too: rro
  std::uint64_t propagation = 0;       ///< MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0: not said
  bool propagation_recursive = false;  ///< rshared, rslave, …
  bool copy_up = false;                ///< tmpcopyup: a tmpfs begins with what it hides
  std::vector<std::pair<std::string, std::string>> data;  ///< for the file system; a flag has no value

  friend bool operator==(const MountOptions&, const MountOptions&) = default;
};

/// Sorts the options out; what no mount knows is for the file system. Throws Failure for an option that
/// cannot be carried out.
MountOptions parse_mount_options(const std::vector<std::string>& options);

/// The names of all options that parse_mount_options() knows.
std::vector<std::string> known_mount_options();

/// The propagation that a word such as `rslave` names, and whether it is recursive; 0 when it names none.
std::pair<std::uint64_t, bool> parse_propagation(const std::string& word);

}  // namespace fdchain
