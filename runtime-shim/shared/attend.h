#pragma once

#include <sys/types.h>

#include "fdchain/system/fd/signals.h"

namespace fdchain {

/// Stays with a payload in a pid namespace, for a shim that nobody watches over: relays the signals of
/// `signals`, waits for the payload's end, and returns its exit status.
int attend(pid_t pid, const SignalFd& signals);

/// The signals that attend() needs, from before the payload is made.
SignalFd receive_signals_for_payload();

}  // namespace fdchain
