#include "runtime-shim/shared/attend.h"

#include <poll.h>
#include <sys/wait.h>

#include <csignal>
#include <optional>

#include "fdchain/model/wait_status.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/process_1.h"

namespace fdchain {
namespace {

std::optional<WaitStatus> try_reap(pid_t payload) {
  int raw = 0;
  if (check(retry([&] { return ::waitpid(payload, &raw, WNOHANG); }), "waitpid") == 0) return std::nullopt;
  return WaitStatus(raw);
}

}  // namespace

SignalFd receive_signals_for_payload() {
  sigset_t wanted = signals_to_relay();
  ::sigaddset(&wanted, SIGCHLD);
  return receive_signals(wanted);
}

int attend(pid_t payload, const SignalFd& signals) {
  Process1 process(payload);
  while (true) {
    pollfd waiting{signals.fd.get(), POLLIN, 0};
    (void)retry([&] { return ::poll(&waiting, 1, poll_timeout(process)); });
    process.look_again();
    const int number = read_signal(signals.fd.get());
    if (number != 0 && number != SIGCHLD) process.signal(number);
    const auto ended = try_reap(payload);
    if (!ended) continue;
    const int fatal = process.fatal();
    return ended->signal() == SIGKILL && fatal != 0 ? 128 + fatal : ended->exit_status();
  }
}

}  // namespace fdchain
