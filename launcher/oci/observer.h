#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/fd_table.h"
#include "fdchain/model/wait_status.h"
#include "launcher/shared/follow/queue_watch.h"
#include "launcher/shared/follow/watcher.h"
#include "launcher/shared/witness.h"

namespace fdchain {

/// Writes down, of a traced run, what the hops are given that write nothing themselves. Of a run that is not
/// traced it does nothing.
class ContainerObserver {
 public:
  ContainerObserver(Witness& witness, bool follow_payload)
      : witness_(witness), follow_payload_(follow_payload) {}

  /// Takes note of the sockets as they are before they are passed on.
  void know_sockets();

  /// From now on, and before there is any pipe whose end somebody will wait for.
  void follow();

  /// The monitor while the payload is about to run: from now on, until its end, the sockets are watched too.
  void see_monitor(pid_t monitor, pid_t payload);

  /// The payload, which runs.
  void see_payload(pid_t payload);

  /// The monitor at the end: what it has told, and the status that it has published.
  void see_monitor_end(pid_t monitor, const std::vector<std::string>& heard, WaitStatus status);

  /// Of a run that has failed.
  void stop() { end_watch(watcher_, RunEnd::failed); }

 private:
  [[nodiscard]] std::optional<HopRecord> look_at(pid_t pid, Hop hop, Moment moment) const;
  void write(std::optional<HopRecord> record) const;

  Witness& witness_;
  bool follow_payload_;
  std::unique_ptr<Watcher> watcher_;
  FdTable known_;
  QueueWatch queues_;
};

}  // namespace fdchain
