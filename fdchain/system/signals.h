#pragma once

#include <csignal>
#include <span>

#include "fdchain/system/owned_fd.h"

namespace fdchain {

/// The signal mask of this process.
sigset_t current_signal_mask();

/// Signals as messages on a descriptor instead of calls of a handler: signalfd(2).
///
/// A handler would be code of the parent's that runs in a child between fork and exec. Here the signals are
/// blocked, and the child unblocks them by taking the mask of before.
struct SignalFd {
  OwnedFd fd;  ///< non-blocking
  sigset_t mask_before;
};

/// Blocks `numbers` and receives them from now on. A signal that was ignored when this process was started
/// stays ignored, for it and for what it starts: that is what nohup(1) asks for.
SignalFd receive_signals(std::span<const int> numbers);

/// The next signal that has come, or 0.
int read_signal(int signal_fd);

/// Blocks every signal while it lives.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace fdchain
