#include "tests/support/supervise.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/processes.h"
#include "tests/support/child.h"

namespace fdchain::test {
namespace {

constexpr int failed = 2;

void have_mounts_of_its_own() {
  if (::unshare(CLONE_NEWNS) < 0) return;
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount", "/");
}

// Runs in the child. Its orphans come to it, as they would to the process it replaces.
[[noreturn]] void run_body(const std::string& program, const std::string& directory,
                           const std::function<int(const std::string&)>& body, const sigset_t& mask,
                           pid_t supervisor) {
  int status = failed;
  try {
    check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl PR_SET_PDEATHSIG");
    if (::getppid() != supervisor) ::_exit(failed);  // dead before it could be asked for
    check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
    check(::sigprocmask(SIG_SETMASK, &mask, nullptr), "sigprocmask");
    have_mounts_of_its_own();
    status = body(directory);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program.c_str(), error.what());
  }
  std::fflush(stdout);
  ::_exit(status);
}

int status_of(pid_t child) {
  int raw = 0;
  check(retry([&] { return ::waitpid(child, &raw, 0); }), "waitpid");
  return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
}

// Until the child has ended, or a signal asks for the end of all.
int wait_for(pid_t child, const sigset_t& signals) {
  while (true) {
    const int signal = retry([&] { return ::sigwaitinfo(&signals, nullptr); });
    if (signal != SIGCHLD) return 128 + signal;
    siginfo_t ended{};
    check(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT), "waitid");
    if (ended.si_pid == child) return status_of(child);
  }
}

}  // namespace

int supervise(const std::string& program, const std::function<int(const std::string& directory)>& body) {
  sigset_t signals;
  sigset_t before;
  ::sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP}) ::sigaddset(&signals, signal);
  check(::sigprocmask(SIG_BLOCK, &signals, &before), "sigprocmask");
  check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
  const TemporaryDirectory directory;
  std::fflush(stdout);
  const pid_t supervisor = ::getpid();
  const pid_t child = check(::fork(), "fork");
  if (child == 0) run_body(program, directory.path(), body, before, supervisor);
  const int status = wait_for(child, signals);
  end_all_children();
  return status;
}

}  // namespace fdchain::test
