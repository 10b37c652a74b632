#include "runtime-shim/oci/interruption.h"

#include <sys/signalfd.h>

#include <array>
#include <csignal>
#include <cstring>

#include "fdchain/model/failure.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain::oci {

Interruption::Interruption() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) {
    struct sigaction now {};
    check(::sigaction(number, nullptr, &now), "sigaction");
    if (now.sa_handler != SIG_IGN) ::sigaddset(&wanted, number);
  }
  check(::sigprocmask(SIG_BLOCK, &wanted, nullptr), "sigprocmask");
  signals_ = OwnedFd(check(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
}

bool Interruption::wait(int fd, Deadline end) const {
  std::array<pollfd, 2> waiting{pollfd{signals_.get(), POLLIN, 0}, pollfd{fd, POLLIN, 0}};
  const int ready = check(poll_until(waiting, end), "poll");
  // What has happened already comes first: a signal for a payload that is there is the payload's.
  if (ready == 0 || waiting[1].revents != 0) return ready > 0;
  if (const int number = read_signal(signals_.get()); number != 0)
    throw Failure("interrupted by SIG" + std::string(::sigabbrev_np(number)) +
                  " before the payload was there");
  return true;
}

}  // namespace fdchain::oci
