#pragma once

#include <sys/types.h>

#include <optional>

#include "fdchain/model/wait_status.h"
#include "fdchain/system/exec/child_side.h"
#include "fdchain/system/exec/exec_image.h"

namespace fdchain {

/// What came of a spawn: the process that has become the program, or why it has not.
struct Spawned {
  pid_t pid = 0;
  std::optional<ExecFailure> failure;  ///< when set, the child is gone; one of spawn() is reaped
  pid_t intermediate = 0;              ///< of a double fork: has exited, and is the caller's to reap
};

/// Forks and becomes the program of `image`. Returns when its exec has happened or failed.
///
/// The caller is the parent and has to reap the child. Throws when the fork itself fails.
Spawned spawn(ExecImage& image);

/// The same after unshare(2) CLONE_NEWPID: the program is process 1 there, and what it says of its pid is its
/// pid here. A sibling is our parent's to reap, also when it has failed.
Spawned spawn_process_1(ExecImage& image, Kin kin);

/// The same by a double fork: an intermediate forks the program and exits, so that init or the nearest
/// subreaper becomes its parent. The intermediate has exited when this returns, and is left to
/// the caller to reap.
///
/// Throws Failure when the intermediate died before it could say which pid the program has.
Spawned spawn_detached(ExecImage& image);

/// Waits for a child and takes its status.
WaitStatus reap(pid_t child);

}  // namespace fdchain
