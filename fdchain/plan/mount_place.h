// Which places of a container nothing may be mounted on.
#pragma once

#include <string>
#include <string_view>

namespace fdchain {

/// Why a mount must not be made, or nothing. Who covers /proc, or a file in it, makes the container's
/// programs and whoever comes in by `exec` read what he likes instead of what the kernel says.
///
/// `place` is where it would be, seen from the container's root, without links. `type` is the one of
/// config.json, `bind` for every bind mount. `shows_proc`: it is a proc file system, or a part of one.
std::string_view mount_place_refusal(std::string_view place, std::string_view type, bool shows_proc);

}  // namespace fdchain
