#pragma once

#include <sys/signalfd.h>

#include <csignal>

#include "fdchain/system/fd/owned_fd.h"

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

/// Every signal that is meant for the payload and not for whoever stands in for it: all that can be received,
/// but for those that a process brings upon itself (SIGSEGV, SIGPIPE, SIGCHLD, ...) and those that a terminal
/// stops a job with.
sigset_t signals_to_relay();

/// Blocks `wanted` and receives them from now on, also those that were ignored when this process was started:
/// whether a signal is ignored is the payload's affair, to which dispositions pass through unchanged, as
/// nohup(1) asks for.
///
/// SIGPIPE and SIGXFSZ are blocked and never received: a closed pipe or a full file is an error of a write,
/// not the end of a hop. SIGCHLD is set to its default, since the kernel reaps the children of a process that
/// ignores it, and their statuses would be lost.
SignalFd receive_signals(sigset_t wanted);

/// The next signal that has come, or 0.
int read_signal(int signal_fd);

/// Whether a signal asks a process to end: SIGTERM, SIGINT, SIGHUP or SIGQUIT.
bool asks_for_end(int signal);

/// Whether it came from a terminal's keyboard, which sends it to every process of the job. A hang-up is sent
/// to the session's leader alone.
bool is_from_keyboard(const signalfd_siginfo& info);

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

/// While it lives a failed write is an errno and no signal: SIGPIPE and SIGXFSZ are blocked, and taken back.
/// Keeps errno.
class WriteSignalsHeld {
 public:
  WriteSignalsHeld() noexcept;
  ~WriteSignalsHeld();
  WriteSignalsHeld(const WriteSignalsHeld&) = delete;
  WriteSignalsHeld& operator=(const WriteSignalsHeld&) = delete;

 private:
  sigset_t signals_{};
  sigset_t before_{};
};

}  // namespace fdchain
