#include "launcher/shared/caretaker.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <csignal>
#include <utility>

#include "fdchain/program/guard.h"
#include "fdchain/system/exec/daemon.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

constexpr int link_number = STDERR_FILENO + 1;
constexpr std::size_t longest_told = 16384;

// A socket or pipe that it kept would be held by a process that nobody knows of.
void let_go_of_everything_but(int link) {
  ::setsid();
  (void)::prctl(PR_SET_NAME, "caretaker");     // for whoever looks into ps
  const int null = open_dev_null().release();  // closed with the others
  for (int number = STDIN_FILENO; number <= STDERR_FILENO; ++number) (void)::dup2(null, number);
  (void)::dup2(link, link_number);
  (void)::close_range(link_number + 1, UINT_MAX, 0);
}

// What has been said and not yet heard. False at the end.
bool receive(Caretaker::Notes& notes) {
  std::string text(longest_told, '\0');
  while (true) {
    const ssize_t got = retry([&] { return ::recv(link_number, text.data(), text.size(), MSG_DONTWAIT); });
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    notes.emplace_back(text, 0, static_cast<std::size_t>(got));
  }
}

Caretaker::Notes wait_for_death(pid_t whom) {
  const OwnedFd end(open_pidfd(whom));
  std::array<pollfd, 2> waiting{{{end.get(), POLLIN, 0}, {link_number, POLLIN, 0}}};
  Caretaker::Notes notes;
  // If it is not our parent any more it has died already, and the number may be another's.
  while (end && ::getppid() == whom && waiting[0].revents == 0) {
    (void)poll_until(waiting, no_deadline);
    if (waiting[1].revents != 0 && !receive(notes)) waiting[1].fd = -1;
  }
  receive(notes);
  return notes;
}

}  // namespace

Caretaker::Caretaker(std::function<void(const Notes&)> clean_up) {
  const pid_t self = ::getpid();
  SocketPair link = make_socket_pair();
  const SignalsBlocked blocked;
  pid_ = split_process();
  if (pid_ == 0) {
    leave_at_once(guarded(
        [&] {
          let_go_of_everything_but(link.theirs.get());
          clean_up(wait_for_death(self));
          return 0;
        },
        [](std::string_view, int) {}));
  }
  link_ = std::move(link.ours);
}

// The kernel may have reaped it: whoever started this process may have had SIGCHLD ignored.
Caretaker::~Caretaker() {
  ::kill(pid_, SIGKILL);
  (void)retry([&] { return ::waitpid(pid_, nullptr, 0); });
}

void Caretaker::tell(std::string_view what) const { (void)send_message(link_, what); }

}  // namespace fdchain
