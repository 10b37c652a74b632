#include "fdchain/program/departure.h"

#include <unistd.h>

#include "fdchain/model/failure.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/trace/departure.h"

namespace fdchain {
namespace {

HopContext context_of(const Arrival& arrival, int sockets, int preserved) {
  HopContext context{arrival.environment, ::getpid(), sockets, preserved, {}};
  if (!arrival.record) return context;
  for (const FdRow& row : arrival.record->fds) {
    if (row.number >= arrival.window.end() && row.number > STDERR_FILENO)
      context.strays.push_back(row.number);
  }
  return context;
}

bool listen_pid_names(const Environment& environment, pid_t pid) {
  return environment.get(listen_pid_name) == std::to_string(pid);
}

HandOver with_observation(HandOver next, bool on) {
  next.observe_departure = on;
  return next;
}

/// The next hop's image; in a traced run with room for what is seen just before its exec.
class ObservedImage {
 public:
  ObservedImage(HandOver next, const sigset_t& signal_mask, const Trace& trace)
      : trace_(trace), next_(with_observation(std::move(next), trace.on())), image_(next_, signal_mask) {
    if (!trace_.on()) return;
    observer_.emplace(next_, observe_fds());
    image_.observe_into(observer_->snapshot());
  }

  [[nodiscard]] ExecImage& image() { return image_; }
  [[nodiscard]] bool is_observed() const { return observer_.has_value(); }

  /// The record of the departure; nothing when there is nobody to write it for, or nothing was seen.
  [[nodiscard]] std::optional<HopRecord> record() const {
    return observer_ ? observer_->record(image_) : std::nullopt;
  }

  void write(std::optional<HopRecord> record) const {
    if (record) trace_.append(std::move(*record));
  }

 private:
  const Trace& trace_;
  HandOver next_;
  ExecImage image_;
  std::optional<DepartureObserver> observer_;
};

// The last hop's failure: exec is the payload's affair, everything before is ours.
[[noreturn]] void throw_failure(const ExecFailure& failure, const ExecImage& image, const FileSystem& files) {
  if (failure.step.kind == Step::Kind::exec) throw_exec_failure(image.program(), failure.error, files);
  if (failure.step.kind == Step::Kind::mount_proc && failure.error == EPERM) {
    throw Failure(image.describe(failure) +
                  "; where parts of /proc are masked, as in most containers, --pid host is what can be had");
  }
  throw Failure(image.describe(failure));
}

}  // namespace

void edit_plan(HopPlan& plan, const Arrival& arrival, const AskedEdits& asked, int sockets, int preserved) {
  if (!asked.faults.empty())
    commit_faults(asked.faults, plan.next.from, plan, context_of(arrival, sockets, preserved));
  add_departure_checkpoint(arrival.environment, plan.next);
}

void edit_plan(HopPlan& plan, const Arrival& arrival, const AskedEdits& asked, const AcceptedFds& accepted,
               const ProfileFacts& facts) {
  const int sockets = accepted.sockets.count + facts.own_sockets;
  if (const Profile* const profile = asked.profiles.of(plan.next.from)) {
    HopContext context = context_of(arrival, sockets, accepted.preserved);
    const auto* const env = std::get_if<ListenEnv>(&arrival.listen);
    context.own_sockets = facts.own_sockets;
    context.preserve_fds = accepted.preserve_fds;
    context.announced = env != nullptr && !arrival.missing;
    context.announced_count = context.announced ? env->count : 0;
    context.names_me = listen_pid_names(arrival.environment, ::getpid()) || facts.replace_listen_pid;
    context.kept_end = accepted.kept_end + facts.own_sockets;
    context.free = accepted.free;
    context.config = Environment(facts.config);
    profile->edit(plan, context);
  }
  edit_plan(plan, arrival, asked, sockets, accepted.preserved);
}

Spawned depart(HandOver next, const sigset_t& signal_mask, const Trace& trace, bool detached) {
  ObservedImage next_hop(std::move(next), signal_mask, trace);
  const Spawned spawned = detached ? spawn_detached(next_hop.image()) : spawn(next_hop.image());
  next_hop.write(next_hop.record());
  if (!spawned.failure) return spawned;
  // E2BIG is about the payload's arguments: ours are a few words.
  throw Failure(next_hop.image().describe(*spawned.failure),
                spawned.failure->error == E2BIG ? exit_status::cannot_invoke : exit_status::hop_failed);
}

pid_t depart_as_process_1(HandOver next, const sigset_t& signal_mask, const Trace& trace, Kin kin,
                          const FileSystem& files) {
  ObservedImage next_hop(std::move(next), signal_mask, trace);
  const Spawned spawned = spawn_process_1(next_hop.image(), kin);
  auto record = next_hop.record();
  if (record) {
    // In there it has no parent and no session; out here it has.
    record->pid = spawned.pid;
    record->ppid = kin == Kin::sibling ? ::getppid() : ::getpid();
    record->sid = ::getsid(0);
  }
  next_hop.write(std::move(record));
  if (spawned.failure) throw_failure(*spawned.failure, next_hop.image(), files);
  return spawned.pid;
}

void depart_in_place(HandOver next, const Trace& trace, const FileSystem& files) {
  ObservedImage next_hop(std::move(next), current_signal_mask(), trace);
  ExecImage& image = next_hop.image();
  const ExecPlan plan = image.plan();
  std::size_t done = 0;
  if (next_hop.is_observed()) {
    // Nobody is left to write the record after the exec: write it when everything else has been done.
    done = image.end_of_observation();
    if (const auto failure = carry_out(plan, 0, done)) throw Failure(image.describe(*failure));
    next_hop.write(next_hop.record());
  }
  const auto failure = carry_out(plan, done, plan.steps.size());
  FileSystem found = files;
  found.entered = failure->step.kind == Step::Kind::exec;
  throw_failure(*failure, image, found);
}

}  // namespace fdchain
