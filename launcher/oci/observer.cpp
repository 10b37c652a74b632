#include "launcher/oci/observer.h"

#include <utility>

#include "fdchain/program/observed.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/observe_process.h"

namespace fdchain {

void ContainerObserver::know_sockets() {
  if (witness_.trace().on()) known_ = observe_fds();
}

void ContainerObserver::follow() {
  watcher_ = watch_run(witness_.trace(), known_, "", follow_payload_of(follow_payload_));
}

void ContainerObserver::see_monitor(pid_t monitor, pid_t payload) {
  auto record = look_at(monitor, Hop::monitor, Moment::running);
  if (record) queues_ = QueueWatch(monitor, record->fds, payload);
  write(std::move(record));
}

// Where nobody can be followed, it is seen in passing.
void ContainerObserver::see_payload(pid_t payload) {
  if (!witness_.trace().on()) return;
  if (watcher_ && follow_payload_) return;
  if (watcher_) return end_watch(watcher_);
  write(look_at(payload, Hop::payload, Moment::running));
}

void ContainerObserver::see_monitor_end(pid_t monitor, const std::vector<std::string>& heard,
                                        WaitStatus status) {
  end_watch(watcher_);
  const FdTable queues = queues_.read();
  auto record = look_at(monitor, Hop::monitor, Moment::after_exit);
  if (!record) return;
  // A monitor of ours has looked for itself.
  record->queues = queues;
  record->heard = heard;
  record->ended = status.describe();
  write(std::move(record));
}

std::optional<HopRecord> ContainerObserver::look_at(pid_t pid, Hop hop, Moment moment) const {
  if (!witness_.trace().on() || pid <= 0) return std::nullopt;
  return observe_other(pid, hop, moment, Hop::launcher, known_);
}

void ContainerObserver::write(std::optional<HopRecord> record) const {
  Trace trace = witness_.trace();
  if (record) append_if_possible(trace, [&] { return std::move(*record); });
}

}  // namespace fdchain
