#include "launcher/shared/follow/follower.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "fdchain/system/fd/sys.h"

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

}  // namespace

Follower::Follower(pid_t pid) {
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& entry : std::filesystem::directory_iterator(tasks)) {
    const pid_t thread = std::stoi(entry.path().filename().string());
    check(static_cast<int>(::ptrace(PTRACE_SEIZE, thread, nullptr, what_to_stop_at)), "ptrace PTRACE_SEIZE");
  }
}

std::optional<Happening> Follower::next() {
  int status = 0;
  for (pid_t thread = 0; (thread = ::waitpid(-1, &status, __WALL | WNOHANG)) > 0;) {
    if (!WIFSTOPPED(status)) return Happening{Happening::Kind::ended, thread, status};
    const int signal = WSTOPSIG(status);
    switch (status >> 16) {
      case 0:
        tell(PTRACE_CONT, thread, signal);
        break;  // its own, to be had now
      // Who has been stopped by a signal stays stopped until SIGCONT; anybody else has just been begun.
      case PTRACE_EVENT_STOP: tell(stops_a_job(signal) ? PTRACE_LISTEN : PTRACE_CONT, thread); break;
      case PTRACE_EVENT_EXEC: return Happening{Happening::Kind::exec, thread};
      case PTRACE_EVENT_EXIT:
        if (is_first_thread(thread)) return Happening{Happening::Kind::ending, thread, message_of(thread)};
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

void Follower::let_go(const Happening& seen) { tell(PTRACE_DETACH, seen.pid); }

}  // namespace fdchain
