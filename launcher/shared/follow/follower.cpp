#include "launcher/shared/follow/follower.h"

#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/process_info.h"

namespace fdchain {
namespace {

constexpr long what_to_stop_at =
    PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT;

// One that has been killed meanwhile can be told nothing, and that is no error.
void tell(__ptrace_request request, pid_t thread, long value = 0) {
  (void)::ptrace(request, thread, nullptr, value);
}

bool is_first_thread(pid_t thread) { return ::syscall(SYS_tgkill, thread, thread, 0) == 0; }

// The status of who is ending, or the number of who has been begun.
int message_of(pid_t thread) {
  unsigned long message = 0;
  (void)::ptrace(PTRACE_GETEVENTMSG, thread, nullptr, &message);
  return static_cast<int>(message);
}

bool stops_a_job(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

std::vector<pid_t> threads_of(pid_t pid, std::error_code& error) {
  std::vector<pid_t> threads;
  std::filesystem::directory_iterator entry("/proc/" + std::to_string(pid) + "/task", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    threads.push_back(std::stoi(entry->path().filename().string()));
  return threads;
}

bool stands_at_its_end(pid_t thread) {
  siginfo_t info{};
  return ::ptrace(PTRACE_GETSIGINFO, thread, nullptr, &info) == 0 && info.si_code >> 8 == PTRACE_EVENT_EXIT;
}

enum class Fate { ends, unclear, lives };

// One that runs may be on its way to its end, with no signal pending any more.
Fate fate_of(const proc::Process& process, pid_t thread) {
  constexpr std::uint64_t killed = std::uint64_t{1} << (SIGKILL - 1);
  if (stands_at_its_end(thread)) return Fate::ends;
  const auto text = process.text("task/" + std::to_string(thread) + "/status");
  const auto state = text ? proc::value_of(*text, "State:") : std::nullopt;
  const auto pending = text ? proc::value_of(*text, "SigPnd:") : std::nullopt;
  if (!state || !pending || state->starts_with('Z') || state->starts_with('X')) return Fate::ends;
  if ((std::strtoull(std::string(*pending).c_str(), nullptr, 16) & killed) != 0) return Fate::ends;
  return state->starts_with('R') ? Fate::unclear : Fate::lives;
}

Fate fate_of_others(const proc::Process& process) {
  std::error_code gone;
  Fate fate = Fate::ends;
  for (const pid_t thread : threads_of(process.pid(), gone)) {
    if (thread != process.pid()) fate = std::max(fate, fate_of(process, thread));
  }
  return fate;
}

// The first thread ends alone when another one executes a program, in its place then, or lives on without it.
// Its status is 0 then.
bool ends_alone(pid_t first, int status) {
  constexpr auto patience = std::chrono::milliseconds(50);
  constexpr int certain = 2;  // looks: one at a thread that is just being killed can err
  const auto process = status == 0 ? proc::Process::find(first) : std::nullopt;
  int lives = 0;
  for (const Deadline end = after(patience); process && std::chrono::steady_clock::now() < end;) {
    const Fate fate = fate_of_others(*process);
    if (fate == Fate::ends) return false;
    lives = fate == Fate::lives ? lives + 1 : 0;
    if (lives == certain) return true;
    ::sched_yield();
  }
  return false;
}

}  // namespace

Follower::Follower(pid_t pid) {
  std::error_code error;
  for (const pid_t thread : threads_of(pid, error)) {
    check(static_cast<int>(::ptrace(PTRACE_SEIZE, thread, nullptr, what_to_stop_at)), "ptrace PTRACE_SEIZE");
    threads_.insert(thread);
  }
  if (error) throw std::system_error(error, "/proc/" + std::to_string(pid) + "/task");
}

std::optional<Happening> Follower::next() {
  int status = 0;
  for (pid_t thread = 0; (thread = ::waitpid(-1, &status, __WALL | WNOHANG)) > 0;) {
    if (!WIFSTOPPED(status)) {
      threads_.erase(thread);
      return Happening{Happening::Kind::ended, thread, status};
    }
    threads_.insert(thread);
    const int signal = WSTOPSIG(status);
    switch (status >> 16) {
      case 0:
        tell(PTRACE_CONT, thread, signal);
        break;  // its own, to be had now
      // Who has been stopped by a signal stays stopped until SIGCONT; anybody else has just been begun.
      case PTRACE_EVENT_STOP: tell(stops_a_job(signal) ? PTRACE_LISTEN : PTRACE_CONT, thread); break;
      case PTRACE_EVENT_EXEC: return Happening{Happening::Kind::exec, thread};
      case PTRACE_EVENT_EXIT:
        if (is_first_thread(thread) && !ends_alone(thread, message_of(thread)))
          return Happening{Happening::Kind::ending, thread, message_of(thread)};
        tell(PTRACE_CONT, thread);
        break;
      case PTRACE_EVENT_FORK:
      case PTRACE_EVENT_VFORK:
      case PTRACE_EVENT_CLONE:
        if (const pid_t begun = message_of(thread); is_first_thread(begun))
          return Happening{Happening::Kind::fork, thread, 0, begun};
        tell(PTRACE_CONT, thread);
        break;
      default: tell(PTRACE_CONT, thread);
    }
  }
  return std::nullopt;
}

void Follower::go_on(const Happening& seen) { tell(PTRACE_CONT, seen.pid); }

void Follower::let_go(const Happening& seen) {
  tell(PTRACE_DETACH, seen.pid);
  threads_.erase(seen.pid);
}

void Follower::let_all_go() {
  for (const pid_t thread : threads_) tell(PTRACE_INTERRUPT, thread);
  const Deadline end = after(std::chrono::seconds(1));
  while (!threads_.empty() && std::chrono::steady_clock::now() < end) {
    int status = 0;
    const pid_t thread = ::waitpid(-1, &status, __WALL | WNOHANG);
    if (thread < 0) break;
    if (thread == 0) {
      (void)poll_until({}, after(std::chrono::milliseconds(1)));
      continue;
    }
    // A stop of the follower's own making has no signal to deliver.
    if (WIFSTOPPED(status)) tell(PTRACE_DETACH, thread, status >> 16 == 0 ? WSTOPSIG(status) : 0);
    threads_.erase(thread);
  }
}

}  // namespace fdchain
