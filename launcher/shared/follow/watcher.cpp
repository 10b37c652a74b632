#include "launcher/shared/follow/watcher.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <string>
#include <vector>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
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
constexpr std::string_view stop_here = "stop here";
constexpr std::string_view done = "done";

void take_in(Follower& follower, ChainTracker& tracker) {
  while (const auto seen = follower.next()) {
    bool of_no_interest = false;
    switch (seen->kind) {
      case Happening::Kind::exec: of_no_interest = tracker.on_exec(seen->pid); break;
      case Happening::Kind::fork: tracker.on_fork(seen->child); break;
      case Happening::Kind::ending: tracker.on_end(seen->pid, WaitStatus(seen->status)); break;
      case Happening::Kind::ended: tracker.on_ended(seen->pid, WaitStatus(seen->status)); continue;
    }
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

void follow(pid_t whom, ChainTracker& tracker, const OwnedFd& link) {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGCHLD);
  const SignalFd changes = receive_signals(wanted);
  Follower follower(whom);
  send_message(link, following);
  bool awaiting = false;
  Clock::time_point end = Clock::time_point::max();
  while (true) {
    take_in(follower, tracker);
    if (awaiting && (!tracker.expects_more() || Clock::now() >= end)) break;
    std::vector<pollfd> waiting{{changes.fd.get(), POLLIN, 0}, {awaiting ? -1 : link.get(), POLLIN, 0}};
    for (const int end_of_payload : tracker.payload_ends()) waiting.push_back({end_of_payload, POLLIN, 0});
    (void)!::poll(waiting.data(), waiting.size(), awaiting ? 20 : -1);
    tracker.on_payload_ends();
    while (read_signal(changes.fd.get()) != 0) {
    }
    if (waiting[1].revents == 0) continue;
    const std::string said = hear(link, {});
    if (said == stop_here) break;
    if (said != await_rest) return;  // nobody is there to read it
    awaiting = true;
    end = Clock::now() + patience;
  }
  take_in(follower, tracker);
  tracker.finish();
  follower.let_all_go();
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

Watcher::Watcher(ChainTracker tracker) {
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
          if (hear(theirs, patience) == begin && ::getppid() == self) follow(self, tracker, theirs);
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

void Watcher::finish() { conclude(await_rest); }

void Watcher::stop() { conclude(stop_here); }

void Watcher::conclude(std::string_view how) {
  if (pid_ == 0) return;
  send_message(link_, how);
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

namespace {

// By its mode or its capabilities. A process that is traced by one with fewer does not get them at exec.
bool raises_privileges(const std::string& program) {
  struct stat status {};
  if (::stat(program.c_str(), &status) < 0) return false;
  return (status.st_mode & (S_ISUID | S_ISGID)) != 0 ||
         ::getxattr(program.c_str(), "security.capability", nullptr, 0) > 0;
}

}  // namespace

std::unique_ptr<Watcher> watch_run(const Trace& trace, FdTable known, const std::string& payload,
                                   FollowPayload follow_payload) {
  if (!trace.on()) return nullptr;
  if (::geteuid() != 0 && raises_privileges(payload)) {
    log::warn("{} raises its privileges, which it could not if it was followed: it is seen after its exec",
              printable(payload));
    return nullptr;
  }
  try {
    return std::make_unique<Watcher>(
        ChainTracker(trace, std::move(known), ChainTracker::Launcher::speaks_for_itself, follow_payload));
  } catch (const Failure& failure) {
    log::warn("the payload is seen after its exec: {}", failure.what());
    return nullptr;
  }
}

void end_watch(std::unique_ptr<Watcher>& watcher, RunEnd how) {
  if (!watcher) return;
  try {
    how == RunEnd::failed ? watcher->stop() : watcher->finish();
  } catch (const Failure& failure) {
    log::warn("{}", failure.what());
  }
  watcher.reset();
}

}  // namespace fdchain
