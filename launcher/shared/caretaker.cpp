#include "launcher/shared/caretaker.h"

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <climits>

#include "fdchain/program/guard.h"
#include "fdchain/system/exec/daemon.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

// A socket or pipe that it kept would be held by a process that nobody knows of.
void let_go_of_everything() {
  ::setsid();
  (void)::prctl(PR_SET_NAME, "caretaker");     // for whoever looks into ps
  const int null = open_dev_null().release();  // closed with the others
  for (int number = STDIN_FILENO; number <= STDERR_FILENO; ++number) (void)::dup2(null, number);
  (void)::close_range(STDERR_FILENO + 1, UINT_MAX, 0);
}

void wait_for_death(pid_t whom) {
  const OwnedFd end(open_pidfd(whom));
  pollfd waiting{end.get(), POLLIN, 0};
  // If it is not our parent any more it has died already, and the number may be another's.
  while (end && ::getppid() == whom && waiting.revents == 0) (void)!::poll(&waiting, 1, -1);
}

}  // namespace

Caretaker::Caretaker(std::function<void()> clean_up) {
  const pid_t self = ::getpid();
  sigset_t all;
  ::sigfillset(&all);
  sigset_t before;
  ::sigprocmask(SIG_SETMASK, &all, &before);
  pid_ = split_process();
  if (pid_ == 0) {
    leave_at_once(guarded(
        [&] {
          let_go_of_everything();
          wait_for_death(self);
          clean_up();
          return 0;
        },
        [](std::string_view, int) {}));
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

Caretaker::~Caretaker() {
  ::kill(pid_, SIGKILL);
  reap(pid_);
}

}  // namespace fdchain
