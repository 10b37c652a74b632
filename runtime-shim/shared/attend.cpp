#include "runtime-shim/shared/attend.h"

#include <csignal>

#include "fdchain/system/proc/payload.h"

namespace fdchain {

SignalFd receive_signals_for_payload() {
  sigset_t wanted = signals_to_relay();
  ::sigaddset(&wanted, SIGCHLD);
  return receive_signals(wanted);
}

int attend(pid_t pid, const SignalFd& signals) {
  Payload payload = Payload::process_1(pid);
  while (!payload.try_reap()) {
    (void)is_readable(signals.fd.get(), payload.next_look());
    payload.look_again();
    const int number = read_signal(signals.fd.get());
    if (number != 0 && number != SIGCHLD) payload.signal(number);
  }
  return payload.status().exit_status();
}

}  // namespace fdchain
