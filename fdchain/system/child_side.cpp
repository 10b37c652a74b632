// The code that runs in the child between fork and execve(). The child borrows its parent's memory meanwhile,
// and the parent stands still: every write below is a write to the parent.
//
// RULE: async-signal-safe calls only (man 7 signal-safety) and bare system calls. No allocation, no
// exceptions, no logging, no std containers, no destructors that matter. The test `child_side_symbols` lists
// what this object file imports, and fails on a name that is not in child_side.symbols beside it.
#include "fdchain/system/child_side.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fdchain/protocol/sync_pipe.h"
#include "fdchain/system/pidfd.h"

namespace fdchain {
namespace {

// Decimal digits, left-aligned: some parsers read a zero-padded number as octal.
void write_decimal(char* out, unsigned long value) noexcept {
  int digits = 1;
  for (unsigned long rest = value; rest >= 10; rest /= 10) ++digits;
  out[digits] = '\0';
  for (; digits > 0; value /= 10) out[--digits] = static_cast<char>('0' + value % 10);
}

int die_with_parent(int parent) noexcept {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return -1;
  // A parent that died before the call sends nothing any more.
  if (::getppid() == parent) return 0;
  errno = ESRCH;
  return -1;
}

int name_pidfdid(char* out) noexcept {
  const int pidfd = open_pidfd(::getpid());
  if (pidfd < 0) return -1;
  struct stat status {};
  const int result = ::fstat(pidfd, &status);
  if (result == 0) write_decimal(out, status.st_ino);
  ::close(pidfd);
  return result;
}

// The number a directory entry of /proc/self/fd stands for, or -1 for `.` and `..`.
int parse_number(const char* name) noexcept {
  int number = 0;
  for (; *name != '\0'; ++name) {
    if (*name < '0' || *name > '9') return -1;
    number = number * 10 + (*name - '0');
  }
  return number;
}

// For where close_range(2) is refused: kernels before 5.11, and sandboxes that do not know it.
int mark_one_by_one(int first, int last) noexcept {
  const int directory = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -1;
  alignas(dirent64) char buffer[4096];
  ssize_t got = 0;
  while ((got = ::getdents64(directory, buffer, sizeof buffer)) > 0) {
    for (ssize_t at = 0; at < got;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(buffer + at);
      const int number = parse_number(entry->d_name);
      // A failure here is a number that was closed meanwhile, by nobody, or the scan's own.
      if (number >= first && number <= last) (void)::fcntl(number, F_SETFD, FD_CLOEXEC);
      at += entry->d_reclen;
    }
  }
  ::close(directory);
  return static_cast<int>(got);
}

// Says which process to look at, and waits for SIGCONT.
int stop(const char* notice) noexcept {
  char pid[24];
  write_decimal(pid, static_cast<unsigned long>(::getpid()));
  // A notice that cannot be written is no reason not to stop.
  for (const char* const part : {notice, static_cast<const char*>(pid), "\n"}) {
    (void)!::write(STDERR_FILENO, part, ::strlen(part));
  }
  return ::raise(SIGSTOP);
}

int tell_ready(int fd) noexcept {
  return static_cast<int>(::send(fd, ready_word.data(), ready_word.size(), MSG_NOSIGNAL));
}

// One step; negative with errno when it failed.
int perform(const Step& step, const ExecPlan& plan) noexcept {
  switch (step.kind) {
    case Step::Kind::new_session:
      return ::setsid();
    case Step::Kind::die_with_parent:
      return die_with_parent(step.source);
    case Step::Kind::default_signal:
      return ::signal(step.source, SIG_DFL) == SIG_ERR ? -1 : 0;
    case Step::Kind::lift:
      return ::dup3(step.source, step.target, O_CLOEXEC);
    case Step::Kind::place:
      return ::dup2(step.source, step.target);
    case Step::Kind::keep:
      return ::fcntl(step.source, F_SETFD, 0);
    case Step::Kind::seal:
      return mark_close_on_exec(step.source, step.target);
    case Step::Kind::wait:
      return ::poll(nullptr, 0, step.source) < 0 && errno != EINTR ? -1 : 0;
    case Step::Kind::stop:
      return stop(plan.stop_notice);
    case Step::Kind::name_pid:
      write_decimal(plan.listen_pid, static_cast<unsigned long>(::getpid()));
      return 0;
    case Step::Kind::name_pidfdid:
      return name_pidfdid(plan.listen_pidfdid);
    case Step::Kind::tell_ready:
      return tell_ready(step.source);
    case Step::Kind::unblock:
      return ::sigprocmask(SIG_SETMASK, &plan.signal_mask, nullptr);
    case Step::Kind::exec:
      return ::execve(plan.program, plan.argv, plan.envp);
  }
  errno = EINVAL;
  return -1;
}

}  // namespace

int mark_close_on_exec(int first, int last) noexcept {
  const auto from = static_cast<unsigned>(first);
  const auto to = static_cast<unsigned>(last);
  // Mark rather than close: the report pipe has to live until exec succeeds.
  if (::close_range(from, to, static_cast<int>(CLOSE_RANGE_CLOEXEC)) == 0) return 0;
  return mark_one_by_one(first, last);
}

ExecFailure become(const ExecPlan& plan) noexcept {
  for (const Step& step : plan.steps) {
    if (perform(step, plan) < 0) return {step.kind, errno, step.source};
  }
  return {Step::Kind::exec, EINVAL, -1};
}

pid_t borrow_child(int (*life)(void*), char* stack_top, ChildLife& given, pid_t& pid) noexcept {
  return ::clone(life, stack_top, CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD, &given, &pid);
}

int live_as_child(void* given) noexcept {
  const auto& life = *static_cast<ChildLife*>(given);
  life.report->failure = become(*life.plan);
  life.report->failed = true;
  ::_exit(life.report->failure.stage == Step::Kind::exec ? 127 : 126);
}

int live_as_intermediate(void* given) noexcept {
  auto& life = *static_cast<ChildLife*>(given);
  const pid_t child = borrow_child(live_as_child, life.grandchild_stack_top, life, life.report->pid);
  if (child < 0) life.report->fork_error = errno;
  ::_exit(0);
}

}  // namespace fdchain
