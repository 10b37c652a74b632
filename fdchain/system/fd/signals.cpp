#include "fdchain/system/fd/signals.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

constexpr std::array not_to_relay{SIGABRT, SIGBUS, SIGCHLD, SIGFPE,  SIGILL,  SIGKILL, SIGPIPE, SIGSEGV,
                                  SIGSTOP, SIGSYS, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG,  SIGXFSZ};

}  // namespace

sigset_t current_signal_mask() {
  sigset_t mask;
  check(::sigprocmask(SIG_SETMASK, nullptr, &mask), "sigprocmask");
  return mask;
}

sigset_t signals_to_relay() {
  sigset_t set;
  ::sigfillset(&set);
  for (const int number : not_to_relay) ::sigdelset(&set, number);
  return set;
}

SignalFd receive_signals(sigset_t wanted) {
  if (::signal(SIGCHLD, SIG_DFL) == SIG_ERR) fail(errno, "signal");
  sigset_t blocked = wanted;
  for (const int number : {SIGPIPE, SIGXFSZ}) ::sigaddset(&blocked, number);
  SignalFd result;
  check(::sigprocmask(SIG_BLOCK, &blocked, &result.mask_before), "sigprocmask");
  result.fd = OwnedFd(check(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
  return result;
}

int read_signal(int signal_fd) {
  signalfd_siginfo info{};
  const ssize_t got = retry([&] { return ::read(signal_fd, &info, sizeof info); });
  return got == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

bool asks_for_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

bool is_from_keyboard(const signalfd_siginfo& info) {
  return info.ssi_code == SI_KERNEL && (info.ssi_signo == SIGINT || info.ssi_signo == SIGQUIT);
}

WriteSignalsHeld::WriteSignalsHeld() noexcept {
  ::sigemptyset(&signals_);
  ::sigaddset(&signals_, SIGPIPE);
  ::sigaddset(&signals_, SIGXFSZ);
  ::sigprocmask(SIG_BLOCK, &signals_, &before_);
}

WriteSignalsHeld::~WriteSignalsHeld() {
  const int error = errno;
  const timespec at_once{};
  while (retry([&] { return ::sigtimedwait(&signals_, nullptr, &at_once); }) > 0) {
  }
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  errno = error;
}

SignalsBlocked::SignalsBlocked() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace fdchain
