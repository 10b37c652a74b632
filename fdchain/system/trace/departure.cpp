#include "fdchain/system/trace/departure.h"

#include <set>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/object_index.h"
#include "fdchain/protocol/told.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/observe_process.h"

namespace fdchain {

DepartureObserver::DepartureObserver(const HandOver& next, FdTable own)
    : hop_(next.from), own_(std::move(own)) {
  // The payload's words are its own.
  if (hop_ == Hop::launcher || hop_ == Hop::monitor) {
    const std::vector<std::string_view> words(next.argv.begin(), next.argv.end());
    preserve_fds_ = told_to_preserve(words);
    counts_sockets_ = told_to_count_sockets(words);
    replaces_listen_pid_ = told_to_replace_listen_pid(words);
    relays_notify_ = told_to_relay_notifications(words);
  }
  std::set<int> numbers;
  int wherever = 0;  // how many get the lowest number that is free
  for (const FdRow& row : own_) numbers.insert(row.number);
  for (const PlannedStep& planned : plan_steps(next)) {
    using enum Step::Kind;
    const bool places = planned.step.kind == lift || planned.step.kind == place || planned.step.kind == make;
    if (places) numbers.insert(planned.step.target);
    if (planned.step.kind == make && planned.step.target < listen_fds_start) ++wherever;
  }
  for (int number = listen_fds_start; wherever > 0; ++number) {
    if (numbers.insert(number).second) --wherever;
  }
  candidates_.assign(numbers.begin(), numbers.end());
  rows_.resize(candidates_.size());
  snapshot_.candidates = candidates_;
  snapshot_.rows = rows_.data();
}

std::optional<HopRecord> DepartureObserver::record(const ExecImage& image) const {
  if (snapshot_.pid == 0) return std::nullopt;
  HopRecord record;
  record.hop = record.seen_by = hop_;
  record.moment = Moment::departure;
  record.time_ns = monotonic_ns();
  record.pid = record.pid_in_namespace = snapshot_.pid;
  record.ppid = snapshot_.ppid;
  record.sid = snapshot_.sid;
  record.exe = image.program();
  record.environment = chain_variables(image.assignments());
  record.nofile_soft = snapshot_.nofile_soft;
  record.nofile_hard = snapshot_.nofile_hard;
  record.ignored_signals = signals_of(snapshot_.ignored_signals);
  record.preserve_fds = preserve_fds_;
  record.counts_sockets = counts_sockets_;
  record.replaces_listen_pid = replaces_listen_pid_;
  record.relays_notify = relays_notify_;
  const ObjectIndex own(own_);
  for (std::size_t i = 0; i < snapshot_.count; ++i) {
    const RawRow& row = rows_[i];
    record.fds.push_back(describe_row(row, "", own.first_like(row.device, row.inode)));
  }
  return record;
}

}  // namespace fdchain
