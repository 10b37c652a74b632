#include "launcher/oci/command.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "fdchain/plan/hand_over.h"
#include "fdchain/program/departure.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

constexpr std::size_t worth_reading = 16384;
constexpr std::chrono::milliseconds now_and_then{100};

// What is there. False when nobody will write any more.
bool take(int pipe, std::string& said) {
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t got = retry([&] { return ::read(pipe, buffer.data(), buffer.size()); });
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    if (said.size() < worth_reading) said.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

Outcome run_command(const std::vector<std::string>& words, const Environment& environment,
                    const sigset_t& signal_mask, std::chrono::milliseconds limit,
                    const std::function<bool()>& given_up) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  const OwnedFd ours(ends[0]);
  OwnedFd theirs(ends[1]);
  check(::fcntl(ours.get(), F_SETFL, O_NONBLOCK), "fcntl F_SETFL");
  const OwnedFd null = open_dev_null();
  HandOver next;
  next.program = words.front();
  next.argv = words;
  next.environment = environment;
  next.die_with_parent = ::getpid();
  next.passed = {{null.get(), STDIN_FILENO, 1, false, "stdin: nothing to read"},
                 {theirs.get(), STDOUT_FILENO, 1, false, "stdout"},
                 {theirs.get(), STDERR_FILENO, 1, false, "stderr"}};
  const pid_t pid = depart(next, signal_mask, Trace()).pid;
  theirs.close();
  const OwnedFd pidfd(check(open_pidfd(pid), "pidfd_open"));
  Outcome outcome{WaitStatus(0), {}};
  std::array<pollfd, 2> waiting{{{pidfd.get(), POLLIN, 0}, {ours.get(), POLLIN, 0}}};
  const Deadline end = after(limit);
  // Until it has ended, not until its pipe has: it may have left the other end to somebody.
  while (waiting[0].revents == 0) {
    const bool enough = std::chrono::steady_clock::now() >= end || (given_up && given_up());
    if (enough) ::kill(pid, SIGKILL);
    const Deadline look = given_up ? std::min(end, after(now_and_then)) : end;
    (void)poll_until(waiting, enough ? no_deadline : look);
    if (waiting[1].revents != 0 && !take(ours.get(), outcome.said)) waiting[1].fd = -1;
  }
  take(ours.get(), outcome.said);
  outcome.status = reap(pid);
  return outcome;
}

}  // namespace fdchain
