// The runtime shim, the OCI runtime's part of the chain: it becomes the payload in place.

#include <unistd.h>

#include "fdchain/model/variables.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/announcement.h"
#include "fdchain/program/caller.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/system/arrival.h"
#include "fdchain/system/find_program.h"
#include "fdchain/system/handshake.h"
#include "fdchain/system/observe_process.h"
#include "fdchain/system/sys.h"
#include "runtime-shim/options.h"

namespace fdchain {
namespace {

Received received(const Arrival& arrival, const ListenEnv& sockets, const ShimOptions& options) {
  return {arrival.environment, sockets.count, sockets.fdnames,
          sockets.has_pidfdid && observe_self().pidfdid.has_value(), options.preserve_fds};
}

PayloadStart payload_start(const Arrival& arrival, const ListenEnv& sockets, const ShimOptions& options,
                           const Caller& caller) {
  PayloadStart start;
  start.received = received(arrival, sockets, options);
  start.received.environment.unset(fault_name);
  start.program = options.payload.front();
  start.command = options.payload;
  start.assignments = options.environment;
  start.ready_fd = caller.sync_fd();
  return start;
}

// Returns only by an exception: whoever runs on is the payload.
[[noreturn]] void become_payload(const Arrival& arrival, const ShimOptions& options, const Caller& caller,
                                 Conduct& conduct) {
  const ListenEnv sockets = accept_announcement(arrival, options.preserve_fds);
  if (!options.workdir.empty()) check(::chdir(options.workdir.c_str()), "chdir", options.workdir);
  HopPlan plan{hand_over_to_payload(payload_start(arrival, sockets, options, caller)), conduct};
  edit_plan(plan, arrival, sockets.count, options.preserve_fds);
  conduct = plan.conduct;
  plan.next.program =
      find_program(plan.next.program, plan.next.environment.get("PATH").value_or(standard_path));
  depart_in_place(plan.next, Trace(arrival.environment));
}

// What follows a failed start, in the order of the plan; and the trace's word of it, whoever else was told.
void conclude_failure(const Conduct& conduct, Caller& caller, const Trace& trace, std::string_view text,
                      int status) {
  for (const AtEnd step : conduct.after_failed_start) {
    if (step == AtEnd::tell_failure) caller.tell_failure(text, status);
  }
  if (!trace.on()) return;
  HopRecord record = observe_process(Hop::runtime_shim, Moment::after_exit);
  record.ended = "failed: " + std::string(text);
  trace.append(std::move(record));
}

Caller make_caller(const ShimOptions& options, const Arrival& arrival) {
  if (options.sync_fd < 0) return Caller(Hop::runtime_shim);
  return Caller(Hop::runtime_shim,
                take_handshake_fd(options.sync_fd, "--sync-fd", arrival.window.end() + options.preserve_fds));
}

}  // namespace
}  // namespace fdchain

int main(int argc, char** argv) {
  using namespace fdchain;
  return guarded(Hop::runtime_shim, [&]() -> int {
    const Arrival arrival = arrive(Hop::runtime_shim, is_observed());
    if (arrival.record) Trace(arrival.environment).append(*arrival.record);
    checkpoint(arrival.environment, Hop::runtime_shim, Moment::arrival);
    log::start(Hop::runtime_shim);
    const auto options = parse_shim_options({argv + 1, argv + argc});
    if (!options) return 0;
    Caller caller = make_caller(*options, arrival);
    Conduct conduct = ideal_conduct(Hop::runtime_shim);
    return guarded([&]() -> int { become_payload(arrival, *options, caller, conduct); },
                   [&](std::string_view text, int status) {
                     conclude_failure(conduct, caller, Trace(arrival.environment), text, status);
                   });
  });
}
