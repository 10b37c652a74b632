#include "launcher/shared/follow/watcher.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/program/guard.h"
#include "fdchain/system/exec/daemon.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "launcher/shared/follow/follower.h"

namespace fdchain {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto patience = std::chrono::seconds(10);

// What the two say to each other; anything else is why it cannot go on.
constexpr std::string_view begin = "begin";
constexpr std::string_view following = "following";
constexpr std::string_view await_rest = "await the rest";
constexpr std::string_view done = "done";

void take_in(Follower& follower, Cast& cast) {
  while (const auto seen = follower.next()) {
    bool of_no_interest = false;
    if (seen->kind == Happening::Kind::exec)
      of_no_interest = cast.saw_exec(seen->pid);
    else
      cast.saw_end(seen->pid, seen->status == 0);
    of_no_interest ? follower.let_go(*seen) : follower.go_on(*seen);
  }
}

// The next message, waited for up to `limit`; empty at the end, or where none came.
std::string hear(const OwnedFd& link, std::chrono::milliseconds limit) {
  pollfd waiting{link.get(), POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) return {};
  std::array<char, 1000> said{};
  const ssize_t got = receive_message(link.get(), said, MSG_DONTWAIT);
  return {said.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
}

void follow(pid_t whom, Cast& cast, const OwnedFd& link) {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGCHLD);
  const SignalFd changes = receive_signals(wanted);
  Follower follower(whom);
  send_message(link, following);
  std::array<pollfd, 2> waiting{{{changes.fd.get(), POLLIN, 0}, {link.get(), POLLIN, 0}}};
  bool awaiting = false;
  Clock::time_point end = Clock::time_point::max();
  while (true) {
    take_in(follower, cast);
    if (awaiting && (!cast.expects_more() || Clock::now() >= end)) break;
    waiting[1].revents = 0;
    (void)!::poll(waiting.data(), awaiting ? 1 : 2, awaiting ? 20 : -1);
    while (read_signal(changes.fd.get()) != 0) {
    }
    if (waiting[1].revents == 0) continue;
    if (hear(link, {}) != await_rest) break;
    awaiting = true;
    end = Clock::now() + patience;
  }
  take_in(follower, cast);
  send_message(link, done);
}

// In a session of its own: whoever stops the terminal's job must not stop who has to let it go on. And with
// nothing in its hands: what it held would be held by nobody who ought to.
void leave_the_others(const OwnedFd& link) {
  ::setsid();
  if (link.get() > STDERR_FILENO + 1)
    (void)::close_range(STDERR_FILENO + 1, static_cast<unsigned>(link.get()) - 1, 0);
  (void)::close_range(static_cast<unsigned>(link.get()) + 1, UINT_MAX, 0);
}

}  // namespace

Watcher::Watcher(Cast cast) {
  SocketPair link = make_socket_pair();
  const pid_t self = ::getpid();
  pid_ = split_process();
  if (pid_ == 0) {
    const OwnedFd theirs = std::move(link.theirs);
    (void)link.ours.release();
    const auto tell = [&](std::string_view why, int) { send_message(theirs, why); };
    const int status = guarded(
        [&] {
          leave_the_others(theirs);
          check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl PR_SET_PDEATHSIG");
          if (hear(theirs, patience) == begin && ::getppid() == self) follow(self, cast, theirs);
          return 0;
        },
        tell);
    leave_at_once(status);
  }
  link.theirs.close();
  link_ = std::move(link.ours);
  // Where none but an ancestor may trace a process, it may say who else.
  (void)::prctl(PR_SET_PTRACER, pid_);
  send_message(link_, begin);
  const std::string said = hear(link_, patience);
  if (said == following) return;
  end();
  throw Failure("nobody can be followed: " + (said.empty() ? "who was to do it has ended" : said));
}

Watcher::~Watcher() { end(); }

void Watcher::finish() {
  if (pid_ == 0) return;
  send_message(link_, await_rest);
  const std::string said = hear(link_, 2 * patience);
  end();
  if (said != done)
    throw Failure("the following ended early: " + (said.empty() ? "who did it was ended" : said) +
                  "; what is recorded is incomplete");
}

void Watcher::end() {
  if (pid_ == 0) return;
  link_.close();
  // Whatever it still has to do, it has nobody to do it for.
  ::kill(pid_, SIGKILL);
  reap(pid_);
  pid_ = 0;
  (void)::prctl(PR_SET_PTRACER, 0);
}

}  // namespace fdchain
