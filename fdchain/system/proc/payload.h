// The process that a run is about, as whoever watches it knows it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>

#include "fdchain/model/wait_status.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/proc/process_1.h"

namespace fdchain {

/// A payload, or a container's first process: whom to signal and how, whether it has ended, and of what.
///
/// Signals go by its number, which is its own only for its parent, and only until it is reaped: whoever is
/// not the parent says how they go instead. Once its end is known nothing is sent any more.
class Payload {
 public:
  using Send = std::function<void(int)>;

  /// A process that gets signals as they are.
  explicit Payload(pid_t pid, Send send = {});

  /// Process 1 of a pid namespace, which has to be signalled with care: see Process1.
  static Payload process_1(pid_t pid, Send send = {});

  [[nodiscard]] pid_t pid() const { return pid_; }

  void signal(int number);

  /// When look_again() has to be called; never, mostly. Earlier it does nothing.
  [[nodiscard]] Deadline next_look() const;
  void look_again();

  /// Reaps it if it has ended; whether it has. For its parent.
  bool try_reap();

  void set_ended(WaitStatus status) { ended_ = status; }
  [[nodiscard]] bool has_ended() const { return ended_.has_value(); }

  /// How it ended, as the kernel says it.
  [[nodiscard]] const std::optional<WaitStatus>& ended() const { return ended_; }

  /// The same to whoever asks for its status: a signal for which SIGKILL had to stand in is the one that it
  /// died of. Only when it has ended.
  [[nodiscard]] WaitStatus status() const;

 private:
  pid_t pid_;
  Send send_;
  std::optional<Process1> careful_;
  std::optional<WaitStatus> ended_;
};

}  // namespace fdchain
