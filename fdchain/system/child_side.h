// The border between the parent, which decides, and the child, which executes.
#pragma once

#include <csignal>
#include <span>
#include <type_traits>

#include "fdchain/plan/step.h"

namespace fdchain {

/// Everything the child needs between fork and exec, made ready by the parent.
///
/// Only pointers and numbers, so the child never allocates, formats or locks.
struct ExecPlan {
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  std::span<const Step> steps;
  char* listen_pid = nullptr;      ///< where `name_pid` writes: room for 10 digits and a zero, in envp
  char* listen_pidfdid = nullptr;  ///< where `name_pidfdid` writes: room for 20 digits and a zero, in envp
  std::span<const char> ready_message;  ///< what `tell_ready` sends
  sigset_t signal_mask{};               ///< what `unblock` restores
  const char* stop_notice = "";         ///< what `stop` says on stderr, before this process's pid
};
static_assert(std::is_trivially_copyable_v<ExecPlan>);

/// Why the plan could not be carried out: the step that failed, its errno, and the descriptor concerned or
/// -1.
struct ExecFailure {
  Step::Kind stage{};
  int error = 0;
  int fd = -1;
};
static_assert(std::is_trivially_copyable_v<ExecFailure>);

/// What a child says on its report pipe, one write each. Silence and the pipe's end mean that exec succeeded.
struct ChildReport {
  enum class Kind : int {
    forked,       ///< from the intermediate of a double fork: `pid` is the grandchild's
    fork_failed,  ///< from the intermediate: `failure.error` says why there is no grandchild
    failed,       ///< from whoever was to exec
  };
  Kind kind{};
  pid_t pid = 0;
  ExecFailure failure;
};
static_assert(std::is_trivially_copyable_v<ChildReport>);

/// Makes the open numbers from `first` to `last`, both included, close-on-exec. Negative with errno on
/// failure.
///
/// Falls back to /proc/self/fd where close_range(2) is refused.
int mark_close_on_exec(int first, int last) noexcept;

/// Carries out the plan in this process, exec included. Returns only when a step failed.
///
/// Runs in a fresh child, or in the runtime shim, which becomes the payload in place.
ExecFailure become(const ExecPlan& plan) noexcept;

/// The whole life of a forked child: becomes the program, or reports why not and exits (127 when exec failed,
/// 126 before).
[[noreturn]] void run_child(const ExecPlan& plan, int report_fd) noexcept;

/// The whole life of the intermediate of a double fork: forks the child proper, says which pid it has, and
/// exits.
[[noreturn]] void run_intermediate(const ExecPlan& plan, int report_fd) noexcept;

}  // namespace fdchain
