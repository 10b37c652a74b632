#pragma once

#include "fdchain/protocol/oci_cli.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::oci {

/// Takes what `command` names by one of its caller's descriptors, `exec --process /dev/fd/9` or a shell's
/// `<(…)`: reads it into a file in memory, and has `command` name that, by a number that stays the same when
/// this program executes itself. Nothing when the command names no such file.
OwnedFd take_handed_file(Command& command);

}  // namespace fdchain::oci
