#include "launcher/shared/follow/payload_tree.h"

#include <utility>

#include "fdchain/system/proc/observe_process.h"
#include "fdchain/system/proc/process_info.h"

namespace fdchain {

PayloadTree::PayloadTree(const Trace& trace, const FdTable& known, pid_t payload)
    : trace_(trace), known_(known), payload_(payload), processes_{{payload, {true}}} {}

void PayloadTree::on_fork(pid_t child) {
  if (processes_.size() < most_processes) processes_.try_emplace(child);
}

void PayloadTree::on_exec(pid_t pid) {
  std::size_t& records = pid == payload_ ? own_records_ : records_;
  if (records >= most_records) return;
  auto record = observe_other(pid, Hop::payload, Moment::payload_exec, Hop::launcher, known_);
  if (!record) return;
  processes_[pid].has_executed = true;
  ++records;
  trace_.append(std::move(*record));
}

void PayloadTree::on_end(pid_t pid, WaitStatus status) {
  const auto process = processes_.extract(pid);
  if (process.empty()) return;
  if (pid == payload_)
    on_end_of_payload(status);
  else if (process.mapped().has_executed)
    write_end(pid, status);
}

// Whoever is there still lives on; what is their own is recorded once.
void PayloadTree::on_end_of_payload(WaitStatus status) {
  write_end(payload_, status);
  for (const auto& [pid, process] : std::exchange(processes_, {})) {
    if (records_++ < most_records) write_end(pid, std::nullopt);
  }
}

void PayloadTree::write_end(pid_t pid, std::optional<WaitStatus> status) {
  auto record = observe_other(pid, Hop::payload, Moment::payload_end, Hop::launcher, known_);
  // One that is killed may be gone before it can be looked at.
  if (!record && !status) return;
  if (!record) {
    record.emplace();
    record->hop = Hop::payload;
    record->moment = Moment::payload_end;
    record->time_ns = monotonic_ns();
    record->pid = pid;
  }
  if (status) record->ended = status->describe();
  trace_.append(std::move(*record));
}

}  // namespace fdchain
