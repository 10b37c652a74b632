#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "fdchain/system/fd/owned_fd.h"
#include "launcher/shared/follow/chain_tracker.h"

namespace fdchain {

/// A process beside this one that follows it, and whatever it starts from now on, and writes down what each
/// hop was given: of programs that write nothing themselves. It holds none of this process's descriptors but
/// stdio, and ends with it at the latest.
///
/// Everybody followed stops at each fork, exec and signal, for a moment.
class Watcher {
 public:
  /// Follows when this returns. Throws Failure when nobody can be followed: this process is traced already,
  /// or the kernel refuses.
  explicit Watcher(ChainTracker tracker);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// Ends it, when all that has happened is written down; and, some seconds at most, what is soon to happen.
  /// Throws Failure when it had ended before: somebody killed it, or the trace cannot be written.
  void finish();

  /// Ends it likewise, and waits for nothing: of a run that has failed.
  void stop();

  /// Its process, a child of this one.
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  void conclude(std::string_view how);
  void end();

  pid_t pid_ = 0;
  OwnedFd link_;
};

/// Follows a run that this launcher starts next, for its trace. Null when no trace is on; and, with a
/// warning, when nobody can be followed, or `payload` would not get the privileges that its file gives.
std::unique_ptr<Watcher> watch_run(const Trace& trace, FdTable known, const std::string& payload,
                                   FollowPayload follow_payload);

/// As it was asked for.
inline FollowPayload follow_payload_of(bool asked) { return asked ? FollowPayload::yes : FollowPayload::no; }

enum class RunEnd { as_expected, failed };

/// Ends the following of a run, when its payload has started or never will; or, where it is followed too,
/// when it has ended. What goes wrong is a warning: the run goes on.
void end_watch(std::unique_ptr<Watcher>& watcher, RunEnd how = RunEnd::as_expected);

}  // namespace fdchain
