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

void edit_plan(HopPlan& plan, const Arrival& arrival, const AskedEdits& asked, const Accepted& accepted,
               const ProfileMatters& matters) {
  const int sockets = accepted.sockets.count + matters.own_sockets;
  if (const Profile* const profile = asked.profiles.of(plan.next.from)) {
    HopContext context = context_of(arrival, sockets, accepted.preserved);
    const auto* const env = std::get_if<ListenEnv>(&arrival.listen);
    context.own_sockets = matters.own_sockets;
    context.preserve_fds = accepted.preserve_fds;
    context.announced = env != nullptr && !arrival.missing;
    context.announced_count = context.announced ? env->count : 0;
    context.names_me = listen_pid_names(arrival.environment, ::getpid()) || matters.replace_listen_pid;
    context.kept_end = accepted.kept_end + matters.own_sockets;
    context.free = accepted.free;
    context.config = Environment(matters.config);
    profile->edit(plan, context);
  }
  edit_plan(plan, arrival, asked, sockets, accepted.preserved);
}

Spawned depart(HandOver next, const sigset_t& signal_mask, const Trace& trace, bool detached) {
  next.observe_departure = trace.on();
  std::optional<DepartureObserver> observer;
  if (trace.on()) observer.emplace(next, observe_fds());
  ExecImage image(next, signal_mask);
  if (observer) image.observe_into(observer->snapshot());
  const Spawned spawned = detached ? spawn_detached(image) : spawn(image);
  if (observer) {
    if (auto record = observer->record(image)) trace.append(std::move(*record));
  }
  if (!spawned.failure) return spawned;
  // E2BIG is about the payload's arguments: ours are a few words.
  throw Failure(image.describe(*spawned.failure),
                spawned.failure->error == E2BIG ? exit_status::cannot_invoke : exit_status::hop_failed);
}

pid_t depart_as_process_1(HandOver next, const sigset_t& signal_mask, const Trace& trace, Kin kin,
                          const FileSystem& files) {
  next.observe_departure = trace.on();
  std::optional<DepartureObserver> observer;
  if (trace.on()) observer.emplace(next, observe_fds());
  ExecImage image(next, signal_mask);
  if (observer) image.observe_into(observer->snapshot());
  const Spawned spawned = spawn_process_1(image, kin);
  if (observer) {
    if (auto record = observer->record(image)) {
      // In there it has no parent and no session; out here it has.
      record->pid = spawned.pid;
      record->ppid = kin == Kin::sibling ? ::getppid() : ::getpid();
      record->sid = ::getsid(0);
      trace.append(std::move(*record));
    }
  }
  if (spawned.failure) throw_failure(*spawned.failure, image, files);
  return spawned.pid;
}

void depart_in_place(HandOver next, const Trace& trace, const FileSystem& files) {
  next.observe_departure = trace.on();
  std::optional<DepartureObserver> observer;
  if (trace.on()) observer.emplace(next, observe_fds());
  ExecImage image(next, current_signal_mask());
  if (observer) image.observe_into(observer->snapshot());
  const ExecPlan plan = image.plan();
  std::size_t done = 0;
  if (observer) {
    // Nobody is left to write the record after the exec: write it when everything else has been done.
    done = image.end_of_observation();
    if (const auto failure = carry_out(plan, 0, done)) throw Failure(image.describe(*failure));
    if (auto record = observer->record(image)) trace.append(std::move(*record));
  }
  const auto failure = carry_out(plan, done, plan.steps.size());
  FileSystem found = files;
  found.entered = failure->step.kind == Step::Kind::exec;
  throw_failure(*failure, image, found);
}

}  // namespace fdchain
