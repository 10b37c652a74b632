#include "fdchain/system/exec/spawn.h"

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

// The child side keeps little on its stack; a page is its largest piece.
constexpr std::size_t stack_size = 32'768;

/// Stacks for a child and a grandchild, for as long as they borrow this process's memory.
class Stacks {
 public:
  [[nodiscard]] char* child_top() const { return memory_.get() + stack_size; }
  [[nodiscard]] char* grandchild_top() const { return memory_.get() + 2 * stack_size; }

 private:
  // Not initialised: untouched pages cost nothing.
  std::unique_ptr<char[]> memory_{new char[2 * stack_size]};
};

// How a child has ended, without reaping it: its number stays taken.
WaitStatus wait_without_reaping(pid_t pid) {
  siginfo_t info{};
  check(retry([&] { return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT); }), "waitid");
  return info.si_code == CLD_EXITED ? WaitStatus::for_exit_code(info.si_status)
                                    : WaitStatus::for_signal(info.si_status);
}

Spawned outcome(const ChildReport& report) {
  return {report.pid, report.failed ? std::optional(report.failure) : std::nullopt, 0};
}

Spawned spawn_from(const ExecPlan& plan, ChildReport& report, Kin kin) {
  const Stacks stacks;
  ChildOrders orders{&plan, &report, nullptr};
  {
    const SignalsBlocked blocked;
    check(borrow_child(exec_child_main, stacks.child_top(), orders, report.pid, kin), "clone");
  }
  if (report.failed && kin == Kin::child) reap(report.pid);
  return outcome(report);
}

// The intermediate was killed while the child it had made still borrows our memory: that has to end before
// any of it is used for something else.
void end_borrower(pid_t pid) {
  const OwnedFd pidfd(open_pidfd(pid));
  if (!pidfd) return;  // gone already
  (void)signal_pidfd(pidfd.get(), SIGKILL);
  (void)is_readable(pidfd.get(), no_deadline);
  // Ours to reap when this process is the nearest subreaper; otherwise there is no such child.
  ::waitpid(pid, nullptr, WNOHANG);
}

}  // namespace

Spawned spawn(ExecImage& image) {
  ChildReport report;
  return spawn_from(image.plan(), report, Kin::child);
}

Spawned spawn_process_1(ExecImage& image, Kin kin) {
  ChildReport report;
  ExecPlan plan = image.plan();
  plan.outer_pid = &report.pid;
  const Spawned spawned = spawn_from(plan, report, kin);
  if (!report.failed && !report.came_to_exec) {
    if (kin == Kin::child) reap(report.pid);
    throw Failure("the payload's process (pid " + std::to_string(report.pid) +
                  ") died before it became the payload");
  }
  return spawned;
}

Spawned spawn_detached(ExecImage& image) {
  const Stacks stacks;
  const ExecPlan plan = image.plan();
  ChildReport report;
  ChildOrders orders{&plan, &report, stacks.grandchild_top()};
  pid_t intermediate = 0;
  {
    const SignalsBlocked blocked;
    check(borrow_child(intermediate_main, stacks.child_top(), orders, intermediate), "clone");
  }
  const WaitStatus status = wait_without_reaping(intermediate);
  if (status.signal() == 0 && report.fork_error == 0) {
    Spawned result = outcome(report);
    if (!result.failure) {
      result.intermediate = intermediate;
      return result;
    }
    reap(intermediate);
    // Orphaned by that, what could not exec is this process's own where it is a subreaper, and init's
    // elsewhere.
    (void)retry([&] { return ::waitpid(report.pid, nullptr, 0); });
    return result;
  }
  if (status.signal() != 0 && report.pid != 0) end_borrower(report.pid);
  reap(intermediate);
  if (report.fork_error != 0) fail(report.fork_error, "clone", "in the intermediate of the double fork");
  throw Failure("the intermediate of the double fork " + status.describe());
}

WaitStatus reap(pid_t child) {
  int status = 0;
  check(retry([&] { return ::waitpid(child, &status, 0); }), "waitpid");
  return WaitStatus(status);
}

}  // namespace fdchain
