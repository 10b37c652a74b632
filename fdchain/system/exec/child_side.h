// The border between the parent, which decides, and the child, which executes.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "fdchain/plan/step.h"
#include "fdchain/system/exec/raw_row.h"

namespace fdchain {

/// What the child really holds just before exec, taken by itself.
struct Snapshot {
  std::span<const int> candidates;  ///< the numbers to look at
  RawRow* rows = nullptr;           ///< room for one each; filled without gaps
  std::size_t count = 0;
  pid_t pid = 0;
  pid_t ppid = 0;
  pid_t sid = 0;
  rlim_t nofile_soft = 0;
  rlim_t nofile_hard = 0;
  std::uint64_t ignored_signals = 0;  ///< bit n-1 for signal n
};
static_assert(std::is_trivially_copyable_v<Snapshot>);

/// Everything the child needs between fork and exec, made ready by the parent.
///
/// Only pointers and numbers, so the child never allocates, formats or locks.
struct ExecPlan {
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  std::span<const Step> steps;
  char* listen_pid = nullptr;            ///< where `name_pid` writes: room for 10 digits and a zero, in envp
  std::span<char* const> pid_variables;  ///< the same for `name_pid` with a `source`
  char* listen_pidfdid = nullptr;  ///< where `name_pidfdid` writes: room for 20 digits and a zero, in envp
  Snapshot* snapshot = nullptr;    ///< where `observe` writes
  sigset_t signal_mask{};          ///< what `unblock` restores
  const char* stop_notice = "";    ///< what `stop` says on stderr, before this process's pid
  const char* proc = nullptr;      ///< for `mount_proc`, `enter_root` and `change_directory`
  const char* root = nullptr;
  const char* directory = nullptr;
  const pid_t* outer_pid = nullptr;  ///< in a pid namespace of its own: this process's pid outside
};
static_assert(std::is_trivially_copyable_v<ExecPlan>);

/// Why the plan could not be carried out: the step that failed, and its errno.
struct ExecFailure {
  Step step = Step::exec();
  int error = 0;
};
static_assert(std::is_trivially_copyable_v<ExecFailure>);

/// What a child leaves in the memory that it borrows from its parent.
struct ChildReport {
  pid_t pid = 0;              ///< of the process that was to exec; set by the kernel when it is made
  int fork_error = 0;         ///< errno, when the intermediate of a double fork could not fork
  bool failed = false;        ///< it did not exec, and `failure` says why
  bool came_to_exec = false;  ///< everything before exec was done; without `failed` and this, it was killed
  ExecFailure failure;
};
static_assert(std::is_trivially_copyable_v<ChildReport>);

/// What a child is given to live on.
struct ChildOrders {
  const ExecPlan* plan = nullptr;
  ChildReport* report = nullptr;
  char* grandchild_stack_top = nullptr;  ///< for the intermediate of a double fork
};

/// Makes the open numbers from `first` to `last`, both included, close-on-exec. Negative with errno on
/// failure.
///
/// Falls back to /proc/self/fd where close_range(2) is refused.
int mark_close_on_exec(int first, int last) noexcept;

/// Carries out the plan in this process, exec included. Returns only when a step failed.
///
/// Runs in a fresh child, or in the runtime shim, which becomes the payload in place.
ExecFailure become(const ExecPlan& plan) noexcept;

/// Carries out the steps from `first` to before `end`; nothing when all of them succeeded.
std::optional<ExecFailure> carry_out(const ExecPlan& plan, std::size_t first, std::size_t end) noexcept;

/// Whose child a new process is.
enum class Kin { child, sibling };

/// Makes a child that runs `child_main` on a stack of its own, and waits until it has exec'ed or exited.
/// Returns its pid, or -1 with errno; `pid` is set before the child runs. A sibling is this process's
/// parent's to reap.
///
/// The child borrows this process's memory, as vfork(2) and posix_spawn(3) do: nothing is copied, which on a
/// machine of 2020 saves a third of a fork, and what the child writes is there for the parent to read.
/// Signals must be blocked: a handler would run in both.
pid_t borrow_child(int (*child_main)(void*), char* stack_top, ChildOrders& given, pid_t& pid,
                   Kin kin = Kin::child) noexcept;

/// The whole life of a child, for borrow_child: becomes the program, or reports why not and exits (127 when
/// exec failed, 126 before). `given` is a ChildOrders.
int exec_child_main(void* given) noexcept;

/// The whole life of the intermediate of a double fork: makes the child proper, and exits.
int intermediate_main(void* given) noexcept;

}  // namespace fdchain
