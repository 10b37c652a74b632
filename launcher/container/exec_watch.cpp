#include "launcher/container/exec_watch.h"

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "fdchain/program/log.h"

namespace fdchain {
namespace {

constexpr auto look_again = std::chrono::milliseconds(100);

std::vector<pid_t> threads_of(pid_t pid) {
  std::vector<pid_t> threads;
  std::error_code gone;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", gone))
    threads.push_back(std::stoi(entry.path().filename().string()));
  return threads;
}

// SIGCHLD tells of a stop; blocked, it waits to be taken.
class ChildSignal {
 public:
  ChildSignal() {
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  ~ChildSignal() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  ChildSignal(const ChildSignal&) = delete;
  ChildSignal& operator=(const ChildSignal&) = delete;

  void wait(std::chrono::milliseconds limit) const {
    const timespec time{0, limit.count() * 1'000'000};
    (void)!::sigtimedwait(&set_, nullptr, &time);
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

}  // namespace

ExecWatch::ExecWatch(pid_t pid) : pid_(pid) {
  // A runtime in Go has several threads, and any may be the one that execs.
  for (const pid_t thread : threads_of(pid)) {
    if (::ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_TRACEEXEC) == 0) threads_.push_back(thread);
  }
  if (threads_.empty()) log::debug("process {} cannot be traced", pid);
}

ExecWatch::~ExecWatch() {
  for (const pid_t thread : threads_) {
    if (!stopped_) {
      // Only a thread that stands can be let go of.
      if (::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) < 0) continue;
      if (::waitpid(thread, nullptr, __WALL) < 0) continue;
    }
    ::ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
  }
}

void ExecWatch::look() {
  if (stopped_) return;
  std::vector<pid_t> left;
  for (const pid_t thread : threads_) {
    const Seen seen = look_at(thread);
    if (seen == Seen::nothing) left.push_back(thread);
    stopped_ |= seen == Seen::exec;
  }
  threads_ = std::move(left);
  // The others are gone, and the one that is left has the first one's number.
  if (stopped_) threads_ = {pid_};
}

bool ExecWatch::wait(std::chrono::milliseconds limit) {
  const ChildSignal signal;
  const auto end = std::chrono::steady_clock::now() + limit;
  for (look(); !stopped_ && !threads_.empty() && std::chrono::steady_clock::now() < end; look())
    signal.wait(look_again);
  return stopped_;
}

ExecWatch::Seen ExecWatch::look_at(pid_t thread) {
  int status = 0;
  const pid_t seen = ::waitpid(thread, &status, __WALL | WNOHANG);
  if (seen < 0) return Seen::end;
  if (seen == 0) return Seen::nothing;
  if (!WIFSTOPPED(status)) return Seen::end;
  if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) return Seen::exec;
  // On its way there it may get a signal, which is its own.
  const bool event = status >> 16 != 0;
  ::ptrace(PTRACE_CONT, thread, nullptr, event ? 0 : WSTOPSIG(status));
  return Seen::nothing;
}

}  // namespace fdchain
