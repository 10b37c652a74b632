// Somebody's wish, while a container is being made, that it were not.
#pragma once

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/poll_until.h"

namespace fdchain::oci {

/// SIGTERM, SIGINT, SIGHUP and SIGQUIT from now on, but for those that the caller has had ignored. They are
/// blocked, and what comes while nobody waits here stays pending: for the next wait, or for the payload.
class Interruption {
 public:
  Interruption();

  /// Waits until `fd` is readable; false when `end` comes first. Throws Failure when one of the signals comes
  /// before that.
  [[nodiscard]] bool wait(int fd, Deadline end = no_deadline) const;

  /// Throws Failure when one of the signals has come.
  void throw_if_any() const { (void)wait(-1, at_once); }

 private:
  OwnedFd signals_;
};

}  // namespace fdchain::oci
