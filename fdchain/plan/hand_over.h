// What a hop is about to pass on, as one value: the place where faults make their edits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/environment.h"
#include "fdchain/model/hop.h"
#include "fdchain/plan/step.h"

namespace fdchain {

/// Neighbouring descriptors to pass on: `count` of them, from `source` upwards to `target` upwards.
///
/// A window of a thousand sockets that is in its place already is one of these and costs one of these.
struct FdPass {
  int source = -1;
  int target = -1;
  int count = 1;
  bool inheritable = false;  ///< not close-on-exec; true for whatever this process was started with
  std::string what;          ///< for people: `socket web`, `sync pipe`

  friend bool operator==(const FdPass&, const FdPass&) = default;
};

/// Where the next program will find itself in the file system.
struct FsView {
  bool own_mounts = false;  ///< what is mounted here is mounted for nobody else
  std::string proc;         ///< where to mount the /proc of its pid namespace; empty for none
  std::string root;         ///< the directory, a mount point, that becomes /; empty to keep this one's
  std::string directory;    ///< its working directory, in that root; empty to keep this one's

  friend bool operator==(const FsView&, const FsView&) = default;
};

/// What the next program will get, while it can still be edited.
struct HandOver {
  Hop from = Hop::launcher;  ///< who passes it on
  std::string program;       ///< path of the executable; nothing is searched
  std::vector<std::string> argv;
  Environment environment;     ///< what only the child can know stands in it as it came, or not at all
  std::vector<FdPass> passed;  ///< everything that crosses the exec, but for untouched 0, 1 and 2
  bool name_pid = false;       ///< LISTEN_PID names the next program
  bool name_pidfdid = false;   ///< LISTEN_PIDFDID does too
  std::vector<std::string_view> pid_variables;  ///< what else names the next program: WATCHDOG_PID
  bool new_session = false;                     ///< the next program leaves this one's session and terminal
  int die_with_parent = 0;  ///< pid of the parent whose death kills the next program; 0: it may live on
  int limit_nofile = 0;     ///< RLIMIT_NOFILE of the next program; 0: what this one has
  int outer_parent = -1;    ///< pidfd of its parent, which die_with_parent then means
  FsView place;
  std::vector<PlannedStep> extra;  ///< steps after renumbering and sealing; a healthy hop has none
  int ready_fd = -1;  ///< where to tell, as the last thing before exec, that it is next; -1: nobody
  bool observe_departure = false;  ///< the run is traced
  bool stop_at_departure = false;  ///< FDCHAIN_STOP
  int delay_at_departure = 0;      ///< FDCHAIN_DELAY, in milliseconds

  /// The first number, 3 at least, above every source and target: free for scratch.
  [[nodiscard]] int first_unused_fd() const;
};

/// The child's whole way to exec, step by step, with a reason for each.
///
/// The order matters: renumber before sealing, since a placed descriptor may come from above the seal; name
/// the pid in the child, which alone knows it; unblock signals last, when no handler of the parent can run
/// any more.
std::vector<PlannedStep> plan_steps(const HandOver& next);

}  // namespace fdchain
