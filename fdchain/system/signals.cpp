#include "fdchain/system/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

bool is_ignored(int number) {
  struct sigaction action {};
  return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

sigset_t not_ignored(std::span<const int> numbers) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : numbers) {
    if (!is_ignored(number)) ::sigaddset(&set, number);
  }
  return set;
}

}  // namespace

sigset_t current_signal_mask() {
  sigset_t mask;
  check(::sigprocmask(SIG_SETMASK, nullptr, &mask), "sigprocmask");
  return mask;
}

SignalFd receive_signals(std::span<const int> numbers) {
  const sigset_t before = current_signal_mask();
  const sigset_t wanted = not_ignored(numbers);
  check(::sigprocmask(SIG_BLOCK, &wanted, nullptr), "sigprocmask");
  return {OwnedFd(check(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd")), before};
}

int read_signal(int signal_fd) {
  signalfd_siginfo info{};
  const ssize_t got = retry([&] { return ::read(signal_fd, &info, sizeof info); });
  return got == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

SignalsBlocked::SignalsBlocked() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace fdchain
