#pragma once

#include <algorithm>
#include <chrono>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/poll_until.h"

namespace fdchain {

/// How long a run waits for its monitor and runtime, and what it says when that is over.
class Patience {
 public:
  static constexpr auto grace = std::chrono::seconds(10);  ///< from SIGTERM to SIGKILL, as everywhere

  /// From `begin` on. `timeout` is --timeout: seconds, 0 for none.
  Patience(int timeout, Deadline begin) : timeout_(timeout), begin_(begin) {}

  /// A signal asks for the end; the first one counts.
  void saw_request(int signal, Deadline now);
  void saw_end_of_payload(Deadline now) { payload_ended_at_ = std::min(payload_ended_at_, now); }

  /// The first signal that asked for the end, or 0.
  [[nodiscard]] int asked() const { return asked_; }

  /// Whether there is any end of it.
  [[nodiscard]] bool is_limited() const { return asked_ != 0 || timeout_ > 0; }

  /// Whether somebody has asked for the end, and the payload still lives: only its end begins the last wait.
  [[nodiscard]] bool waits_for_payload() const { return asked_ != 0 && payload_ended_at_ == no_deadline; }

  /// When a container is given up that is not there yet. A signal waits for the payload, but not for ever: a
  /// runtime may hang. --timeout is the monitor's to keep as soon as there is a container, and until then
  /// this process's.
  [[nodiscard]] Deadline for_container() const;
  [[nodiscard]] Failure no_container() const;

  /// When a monitor is given up that should have told the payload's end: it stands still, or does not act. A
  /// payload that goes on when it is asked to end may have its reasons.
  [[nodiscard]] Deadline for_end() const;

  /// `monitor` is who it is: `monitor (pid 7)`.
  [[nodiscard]] Failure no_end(const std::string& monitor) const;

 private:
  [[nodiscard]] bool is_due() const { return asked_ != 0 && payload_ended_at_ != no_deadline; }

  int timeout_;
  Deadline begin_;
  int asked_ = 0;
  Deadline asked_at_ = no_deadline;
  Deadline payload_ended_at_ = no_deadline;
};

}  // namespace fdchain
