#pragma once

#include <sys/types.h>

#include <utility>
#include <vector>

#include "fdchain/model/fd_table.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// The accept queues of a container's sockets, to be read when its payload has ended: a real monitor lets go
/// of them before anybody can look.
///
/// It has copies of the sockets, and only of what the monitor holds until then as well: to clients it makes
/// no difference. Whoever has one lets go of it as soon as the payload has ended.
class QueueWatch {
 public:
  QueueWatch() = default;

  /// Of the listening ones among `held`, which `monitor` has, until `payload` ends. Of a process that may not
  /// be looked at it has nothing.
  QueueWatch(pid_t monitor, const FdTable& held, pid_t payload);

  /// A pidfd, readable when the payload has ended; -1 when there is nothing to wait for.
  [[nodiscard]] int end() const { return end_.get(); }

  /// Reads the queues, for the first time it is called, and lets go of them.
  const FdTable& read();

 private:
  OwnedFd end_;
  std::vector<std::pair<int, OwnedFd>> copies_;  // by the number that the monitor has it at
  FdTable queues_;
};

}  // namespace fdchain
