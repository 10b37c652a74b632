#pragma once

#include <sys/types.h>

#include "fdchain/system/fd/owned_fd.h"
#include "launcher/shared/follow/cast.h"

namespace fdchain {

/// A process beside this one that follows it, and whatever it starts from now on, and writes down what each
/// hop was given: of programs that write nothing themselves. It holds none of this process's descriptors but
/// stdio, and ends with it at the latest.
///
/// Everybody followed stops at each fork, exec and signal, for a moment.
class Watcher {
 public:
  /// Follows when this returns. Throws Failure when nobody can be followed: this process is traced already,
  /// or the kernel refuses.
  explicit Watcher(Cast cast);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// Ends it, when all that has happened is written down; and, some seconds at most, what is soon to happen.
  /// Throws Failure when it had ended before: somebody killed it, or the trace cannot be written.
  void finish();

 private:
  void end();

  pid_t pid_ = 0;
  OwnedFd link_;
};

}  // namespace fdchain
