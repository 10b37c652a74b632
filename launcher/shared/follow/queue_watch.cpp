#include "launcher/shared/follow/queue_watch.h"

#include <utility>

#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/proc/observe.h"

namespace fdchain {

QueueWatch::QueueWatch(pid_t monitor, const FdTable& held, pid_t payload) : end_(open_pidfd(payload)) {
  const OwnedFd holder(open_pidfd(monitor));
  for (const FdRow& row : held) {
    if (!end_ || !row.socket || !row.socket->listening) continue;
    OwnedFd copy(copy_descriptor(holder.get(), row.number));
    const auto same = copy ? observe_fd(copy.get()) : std::nullopt;
    if (same && same->same_object(row)) copies_.emplace_back(row.number, std::move(copy));
  }
  if (copies_.empty()) end_.close();
}

const FdTable& QueueWatch::read() {
  end_.close();
  for (const auto& [number, copy] : std::exchange(copies_, {})) {
    auto row = observe_queue(copy.get());
    if (!row) continue;
    row->number = number;
    row->close_on_exec = false;
    queues_.push_back(std::move(*row));
  }
  return queues_;
}

}  // namespace fdchain
