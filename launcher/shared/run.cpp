#include "launcher/shared/run.h"

#include "fdchain/model/failure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"

namespace fdchain {
namespace {

// podman's --preserve-fds counts from 3 on, in the place of LISTEN_FDS.
AcceptedFds accept_as_launcher(const RunOptions& options, Arrival& arrival) {
  const Profile* const profile = options.profiles.of(Hop::launcher);
  AcceptedFds accepted = accept_as(profile, arrival, options.preserve_fds, {});
  if (options.listen.empty()) warn_of_names(accepted.sockets);
  const bool would_collide =
      profile != nullptr && !options.listen.empty() && accepted.preserved != options.preserve_fds;
  if (would_collide)
    throw Failure("--preserve-fds with --listen: " + std::string(profile->name) +
                  " counts from descriptor 3, where the sockets are");
  return accepted;
}

AcceptedFds accept_or_report(const RunOptions& options, Arrival& arrival, Witness& witness) try {
  return accept_as_launcher(options, arrival);
} catch (...) {
  witness.saw_end({}, {});
  throw;
}

}  // namespace

int run_chain(const RunOptions& options, Arrival arrival, RunDialect run_dialect) {
  Witness witness(options, arrival);
  const auto say = [](std::string_view text, int) { print_error(Hop::launcher, text); };
  const auto run = [&] {
    Sockets sockets;  // still held when a failed run is looked at
    const AcceptedFds accepted = accept_or_report(options, arrival, witness);
    RunOptions as_read = options;
    as_read.preserve_fds = accepted.preserved;
    return run_dialect(as_read, arrival, accepted, sockets, witness);
  };
  const int status = guarded(run, say);
  // A report that fails is no reason to hide how the payload ended.
  int concluded = status;
  const int failed = guarded(
      [&] {
        concluded = witness.conclude(status);
        return 0;
      },
      say);
  if (failed == exit_status::not_seen) return exit_status::is_chains_own(status) ? status : failed;
  return failed != 0 && status == 0 ? failed : concluded;
}

}  // namespace fdchain
