// The runtime shim, the OCI runtime's part of the chain: it becomes the payload in place.

#include <unistd.h>

#include "fdchain/model/failure.h"
#include "fdchain/program/announcement.h"
#include "fdchain/program/caller.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/system/arrival.h"
#include "fdchain/system/exec_image.h"
#include "fdchain/system/find_program.h"
#include "fdchain/system/handshake.h"
#include "fdchain/system/signals.h"
#include "fdchain/system/sys.h"
#include "runtime-shim/options.h"

namespace fdchain {
namespace {

Environment payload_environment(const Arrival& arrival, const ListenEnv& sockets,
                                const ShimOptions& options) {
  Environment environment = arrival.environment;
  for (const std::string& assignment : options.environment) {
    const std::size_t equals = assignment.find('=');
    environment.set(assignment.substr(0, equals), assignment.substr(equals + 1));
  }
  announce(environment, sockets.count, sockets.fdnames);
  return environment;
}

HandOver hand_over_to_payload(const Arrival& arrival, const ListenEnv& sockets, const ShimOptions& options,
                              const Caller& caller) {
  HandOver next;
  next.from = Hop::runtime_shim;
  next.argv = options.payload;
  next.environment = payload_environment(arrival, sockets, options);
  next.program = find_program(options.payload.front(),
                              next.environment.get("PATH").value_or("/usr/local/bin:/usr/bin:/bin"));
  next.name_pid = sockets.count > 0;
  next.name_pidfdid = sockets.has_pidfdid && observe_self().pidfdid.has_value();
  if (sockets.count > 0)
    next.passed.push_back({listen_fds_start, listen_fds_start, sockets.count, true, "socket"});
  if (options.preserve_fds > 0) {
    next.passed.push_back(
        {sockets.end(), sockets.end(), options.preserve_fds, false, "preserved descriptor"});
  }
  next.ready_fd = caller.sync_fd();
  add_departure_checkpoint(arrival.environment, next);
  return next;
}

// Returns only by exception: whoever runs on is the payload.
[[noreturn]] void become_payload(const HandOver& next) {
  ExecImage image(next, current_signal_mask());
  const ExecFailure failure = become(image.plan());
  if (failure.stage == Step::Kind::exec) throw_exec_failure(next.program, failure.error);
  throw Failure(image.describe(failure));
}

int run(const Arrival& arrival, const ShimOptions& options, const Caller& caller) {
  const ListenEnv sockets = accept_announcement(arrival, options.preserve_fds);
  if (!options.workdir.empty()) check(::chdir(options.workdir.c_str()), "chdir", options.workdir);
  become_payload(hand_over_to_payload(arrival, sockets, options, caller));
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
  return guarded(Hop::runtime_shim, [&] {
    const Arrival arrival = arrive();
    checkpoint(arrival.environment, Hop::runtime_shim, Moment::arrival);
    log::start(Hop::runtime_shim);
    const auto options = parse_shim_options({argv + 1, argv + argc});
    if (!options) return 0;
    Caller caller = make_caller(*options, arrival);
    return guarded([&] { return run(arrival, *options, caller); },
                   [&](std::string_view text, int status) { caller.tell_failure(text, status); });
  });
}
