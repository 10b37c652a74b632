#include "launcher/follow/watcher.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/program/guard.h"
#include "fdchain/system/daemon.h"
#include "fdchain/system/handshake.h"
#include "fdchain/system/signals.h"
#include "fdchain/system/spawn.h"
#include "fdchain/system/sys.h"
#include "launcher/follow/follower.h"

namespace fdchain {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto patience = std::chrono::seconds(10);
constexpr char follows_now = '\0';
constexpr char may_begin = 'b';
constexpr char await_rest = 'w';

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

// What the launcher says at the end; nothing while it says nothing.
enum class Said { nothing, leave, await };

Said hear(const OwnedFd& link) {
  char word = 0;
  const ssize_t got = ::recv(link.get(), &word, 1, MSG_DONTWAIT);
  if (got < 0) return Said::nothing;
  return got == 1 && word == await_rest ? Said::await : Said::leave;
}

void wait_for_word(const OwnedFd& link) {
  char word = 0;
  (void)!retry([&] { return ::read(link.get(), &word, 1); });
}

void follow(pid_t whom, Cast& cast, const OwnedFd& link) {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGCHLD);
  const SignalFd changes = receive_signals(wanted);
  Follower follower(whom);
  send_message(link, std::string_view(&follows_now, 1));
  std::array<pollfd, 2> waiting{{{changes.fd.get(), POLLIN, 0}, {link.get(), POLLIN, 0}}};
  Said said = Said::nothing;
  Clock::time_point end = Clock::time_point::max();
  while (true) {
    take_in(follower, cast);
    if (said == Said::leave || (said == Said::await && (!cast.expects_more() || Clock::now() >= end))) return;
    (void)!::poll(waiting.data(), waiting.size(), said == Said::nothing ? -1 : 20);
    while (read_signal(changes.fd.get()) != 0) {
    }
    if (said != Said::nothing) continue;
    said = hear(link);
    if (said != Said::nothing) end = Clock::now() + patience;
  }
}

}  // namespace

Watcher::Watcher(Cast cast) {
  SocketPair link = make_socket_pair();
  const pid_t self = ::getpid();
  pid_ = split_process();
  if (pid_ == 0) {
    link.ours.close();
    const auto tell = [&](std::string_view why, int) { send_message(link.theirs, why); };
    const int status = guarded(
        [&] {
          check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl PR_SET_PDEATHSIG");
          wait_for_word(link.theirs);
          if (::getppid() == self) follow(self, cast, link.theirs);
          return 0;
        },
        tell);
    leave_at_once(status);
  }
  link.theirs.close();
  link_ = std::move(link.ours);
  // Where none but an ancestor may trace a process, it may say who else.
  (void)::prctl(PR_SET_PTRACER, pid_);
  send_message(link_, std::string_view(&may_begin, 1));
  std::array<char, 1000> said{};
  const ssize_t got = retry([&] { return ::read(link_.get(), said.data(), said.size()); });
  if (got == 1 && said[0] == follows_now) return;
  end();
  throw Failure("nobody can be followed: " +
                std::string(said.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))));
}

Watcher::~Watcher() { end(); }

void Watcher::finish() {
  if (pid_ == 0) return;
  send_message(link_, std::string_view(&await_rest, 1));
  wait_for_word(link_);  // none comes: its end is closed when it ends
  end();
}

void Watcher::end() {
  link_.close();
  if (pid_ != 0) reap(pid_);
  pid_ = 0;
}

}  // namespace fdchain
