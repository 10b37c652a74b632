// The runtime shim, the OCI runtime's part of the chain. In its native dialect it isolates the payload, and
// becomes it in place; in that of OCI runtimes (oci/) it makes containers, as crun and runc do.

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "fdchain/model/variables.h"
#include "fdchain/plan/edits/asked.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/announcement.h"
#include "fdchain/program/caller.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/program/observed.h"
#include "fdchain/protocol/oci_cli.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe_process.h"
#include "fdchain/system/proc/self.h"
#include "fdchain/system/trace/arrival.h"
#include "runtime-shim/native/isolation.h"
#include "runtime-shim/native/options.h"
#include "runtime-shim/oci/oci.h"
#include "runtime-shim/shared/attend.h"

namespace fdchain {
namespace {

Received received(const Arrival& arrival, const AcceptedFds& accepted) {
  const ListenEnv& sockets = accepted.sockets;
  return {arrival.environment, sockets.count,
          sockets.fdnames,     sockets.has_pidfdid && observe_self().pidfdid.has_value(),
          accepted.preserved,  pid_variables_naming(arrival.environment, ::getpid())};
}

PayloadStart payload_start(const Arrival& arrival, const AcceptedFds& accepted, const ShimOptions& options,
                           const Caller& caller) {
  PayloadStart start;
  start.received = received(arrival, accepted);
  start.received.environment.unset(fault_name);
  start.received.environment.unset(profile_name);
  start.config = options.config_environment;
  start.program = options.payload.front();
  start.command = options.payload;
  start.assignments = options.environment;
  start.ready_fd = caller.sync_fd();
  start.isolation = options.isolation;
  start.workdir = options.workdir;
  return start;
}

// With a monitor the payload is the monitor's child, and this shim's work is done when it runs. Without one
// somebody has to stay with it.
int start_as_process_1(const HandOver& next, Kin kin, Arrival& arrival, const FileSystem& files) {
  const Trace trace(arrival.environment);
  if (kin == Kin::sibling) return depart_as_process_1(next, current_signal_mask(), trace, kin, files), 0;
  const SignalFd signals = receive_signals_for_payload();
  const pid_t payload = depart_as_process_1(next, signals.mask_before, trace, kin, files);
  arrival.window.close();
  return attend(payload, signals);
}

// In a pid namespace the payload is another process. Elsewhere it is this one, and this returns only by an
// exception: whoever runs on is the payload.
int start_payload(Arrival& arrival, const AskedEdits& asked, const ShimOptions& options, const Caller& caller,
                  Conduct& conduct) {
  const AcceptedFds accepted = accept_as(asked.profiles.of(Hop::runtime_shim), arrival, options.preserve_fds,
                                         std::array{options.sync_fd});
  const FileSystem files = files_of_payload(options.isolation, options.workdir);
  if (!options.workdir.empty() && options.isolation.rootfs.empty())
    check(::chdir(options.workdir.c_str()), "chdir", options.workdir);
  const Kin kin = caller.sync_fd() >= 0 ? Kin::sibling : Kin::child;
  PayloadStart start = payload_start(arrival, accepted, options, caller);
  OwnedFd parent;
  if (options.isolation.pid) {
    parent = OwnedFd(check(open_pidfd(kin == Kin::sibling ? ::getppid() : ::getpid()), "pidfd_open"));
    start.parent_pidfd = parent.get();
  }
  HopPlan plan{hand_over_to_payload(start), conduct};
  edit_plan(plan, arrival, asked, accepted, {0, false, options.config_environment});
  conduct = plan.conduct;
  plan.next.program =
      find_program(plan.next.program, plan.next.environment.get("PATH").value_or(standard_path), files);
  isolate(options.isolation, plan.next.environment);
  if (options.isolation.pid) return start_as_process_1(plan.next, kin, arrival, files);
  depart_in_place(plan.next, Trace(arrival.environment), files);
}

// What follows a failed start, in the order of the plan; and the trace's word of it, whoever else was told.
void conclude_failure(const Conduct& conduct, Caller& caller, Trace trace, std::string_view text,
                      int status) {
  for (const AtEnd step : conduct.after_failed_start) {
    if (step == AtEnd::tell_failure) caller.tell_failure(text, status);
  }
  append_if_possible(trace, [&] {
    HopRecord record = observe_process(Hop::runtime_shim, Moment::after_exit);
    record.ended = "failed: " + std::string(text);
    return record;
  });
}

OwnedFd move_out_of_the_way(const OwnedFd& fd, const FdTable& open) {
  constexpr int room = 16;
  const int lowest = open.back().number + room;
  return OwnedFd(check(::fcntl(fd.get(), F_DUPFD_CLOEXEC, lowest), "fcntl F_DUPFD_CLOEXEC"));
}

Caller make_caller(const ShimOptions& options, const Arrival& arrival, bool has_profile) {
  if (options.sync_fd < 0) return Caller(Hop::runtime_shim);
  // A real runtime has no such pipe: out of the way of what a profile may have at its number.
  const int lowest = has_profile ? listen_fds_start : arrival.window.end() + options.preserve_fds;
  OwnedFd sync = take_handshake_fd(options.sync_fd, "--sync-fd", lowest);
  if (has_profile) sync = move_out_of_the_way(sync, arrival.record->fds);
  return Caller(Hop::runtime_shim, std::move(sync));
}

}  // namespace
}  // namespace fdchain

int main(int argc, char** argv) {
  using namespace fdchain;
  const int status = guarded(Hop::runtime_shim, [&]() -> int {
    Arrival arrival = arrive(Hop::runtime_shim, is_observed());
    if (arrival.record) Trace(arrival.environment).append(*arrival.record);
    checkpoint(arrival.environment, Hop::runtime_shim, Moment::arrival);
    log::start(Hop::runtime_shim);
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (oci::is_command_line(words)) return oci::serve(words, arrival, argv);
    const auto options = parse_shim_options(words);
    if (!options) return 0;
    const AskedEdits asked = asked_edits(arrival.environment);
    Caller caller = make_caller(*options, arrival, asked.profiles.of(Hop::runtime_shim) != nullptr);
    Conduct conduct = ideal_conduct(Hop::runtime_shim);
    return guarded([&] { return start_payload(arrival, asked, *options, caller, conduct); },
                   [&](std::string_view text, int failed) {
                     conclude_failure(conduct, caller, Trace(arrival.environment), text, failed);
                   });
  });
  // Without exit handlers: one that starts a process would start it in the payload's pid namespace, where
  // nothing can be started any more once the payload has ended. LeakSanitizer's does, and tries for ever.
  ::_exit(status);
}
