// Process 1 of a pid namespace, seen from outside it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "fdchain/system/fd/poll_until.h"

namespace fdchain {

/// Whether it is sure that a process catches, ignores, blocks or waits for a signal; true when it is gone.
/// Not sure is one that blocks everything: for the moment of a fork, perhaps.
bool minds_signal(pid_t pid, int number);

/// Sends a process 1 signals as to any other process: one that would end it, and that it neither catches nor
/// ignores nor blocks, does end it, by SIGKILL. The kernel would drop that one.
///
/// It never waits. A process that blocks everything for the moment of a fork is sent the signal, and looked
/// at again: `next_look` says when, and whoever has this calls `look_again` then. Earlier that does nothing,
/// so it can be called after every wait, whatever has ended that. `pid` must not be reaped yet.
class Process1 {
 public:
  explicit Process1(pid_t pid);

  /// One whose signals go by way of `send`: somebody else's to send.
  Process1(pid_t pid, std::function<void(int)> send) : pid_(pid), send_(std::move(send)) {}

  void signal(int number);

  /// When to look again; never when there is nothing to look for.
  [[nodiscard]] Deadline next_look() const { return unsure_.empty() ? no_deadline : due_; }
  void look_again();

  /// The signal that it was to die of, where SIGKILL had to stand in for it; 0 for none.
  [[nodiscard]] int fatal() const { return fatal_; }

 private:
  struct Unsure {
    int number;
    std::chrono::milliseconds left;  ///< how long it is still looked at
  };
  void end_by(int number);
  void look_after(std::chrono::milliseconds pause);

  pid_t pid_;
  std::function<void(int)> send_;
  int fatal_ = 0;
  std::vector<Unsure> unsure_;
  std::chrono::milliseconds pause_{1};
  Deadline due_;
};

}  // namespace fdchain
