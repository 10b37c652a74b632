// The code that runs in the child between fork and execve(). The child borrows its parent's memory meanwhile,
// and the parent stands still: every write below is a write to the parent.
//
// RULE: async-signal-safe calls only (man 7 signal-safety) and bare system calls. No allocation, no
// exceptions, no logging, no std containers, no destructors that matter. The test `child_side_symbols` lists
// what this object file imports, and fails on a name that is not in child_side.symbols beside it.
#include "fdchain/system/exec/child_side.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "fdchain/protocol/sync_pipe.h"
#include "fdchain/system/exec/pidfd.h"

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

int die_with_outer_parent(int pidfd) noexcept {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return -1;
  // From in here every outer parent has the number 0; its pidfd can be read when it has died.
  pollfd died{pidfd, POLLIN, 0};
  const int ready = ::poll(&died, 1, 0);
  if (ready <= 0) return ready;
  errno = ESRCH;
  return -1;
}

int own_mounts() noexcept {
  if (::unshare(CLONE_NEWNS) < 0) return -1;
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr);
}

// The old root comes to lie on top of the new one, and is let go of there: no directory for it is needed.
int enter_root(const char* root) noexcept {
  if (::chdir(root) < 0) return -1;
  if (::syscall(SYS_pivot_root, ".", ".") < 0) return -1;
  if (::umount2(".", MNT_DETACH) < 0) return -1;
  return ::chdir("/");
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

int set_nonblock(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags < 0 ? -1 : ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int open_new(NewFd made) noexcept {
  int ends[2];
  switch (made) {
    case NewFd::directory: return ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    case NewFd::file: return ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    case NewFd::pipe:
      if (::pipe2(ends, O_CLOEXEC) < 0) return -1;
      ::close(ends[0]);
      return ends[1];
    case NewFd::socket: return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    case NewFd::eventfd: return ::eventfd(0, EFD_CLOEXEC);
    case NewFd::epoll: return ::epoll_create1(EPOLL_CLOEXEC);
  }
  errno = EINVAL;
  return -1;
}

int make(NewFd made, int target) noexcept {
  const int fd = open_new(made);
  if (fd < 0) return -1;
  if (fd == target) return ::fcntl(fd, F_SETFD, 0);
  const int result = ::dup2(fd, target);
  ::close(fd);
  return result;
}

int limit_nofile(rlim_t limit) noexcept {
  rlimit limits{};
  if (::getrlimit(RLIMIT_NOFILE, &limits) < 0) return -1;
  limits.rlim_cur = limit;
  return ::setrlimit(RLIMIT_NOFILE, &limits);
}

// What a payload meets whose security label does not let it use a socket that is there: EACCES.
int deny_sockets() noexcept {
  static constexpr auto refuse = SECCOMP_RET_ERRNO | EACCES;
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_accept, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_accept4, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockname, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, refuse),
  };
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int is_listening(int socket) noexcept {
  int listening = -1;
  socklen_t length = sizeof listening;
  return ::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0 ? -1 : listening;
}

int observe(Snapshot& snapshot) noexcept {
  snapshot.pid = ::getpid();
  snapshot.ppid = ::getppid();
  snapshot.sid = ::getsid(0);
  for (const int number : snapshot.candidates) {
    RawRow& row = snapshot.rows[snapshot.count];
    row.number = number;
    row.fd_flags = ::fcntl(number, F_GETFD);
    row.status_flags = ::fcntl(number, F_GETFL);
    struct stat status {};
    if (row.fd_flags < 0 || ::fstat(number, &status) < 0) continue;
    row.device = status.st_dev;
    row.inode = status.st_ino;
    row.mode = status.st_mode;
    row.listening = S_ISSOCK(status.st_mode) ? is_listening(number) : -1;
    ++snapshot.count;
  }
  for (int number = 1; number <= 64; ++number) {
    struct sigaction action {};
    const bool ignored = ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
    if (ignored) snapshot.ignored_signals |= std::uint64_t{1} << (number - 1);
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
  snapshot.nofile_soft = limit.rlim_cur;
  snapshot.nofile_hard = limit.rlim_max;
  return 0;
}

// Says which process to look at, and waits for SIGCONT.
int stop(const char* notice, const pid_t* outer_pid) noexcept {
  char line[160];
  const std::size_t room = sizeof line - 24;  // for the pid and the end of the line
  const std::size_t length = ::strlen(notice) < room ? ::strlen(notice) : room;
  ::memcpy(line, notice, length);  // NOLINT(bugprone-not-null-terminated-result): write_decimal() ends it
  write_decimal(line + length, static_cast<unsigned long>(outer_pid != nullptr ? *outer_pid : ::getpid()));
  const std::size_t end = ::strlen(line);
  line[end] = '\n';
  // One write, so that nobody's words come between. One that fails is no reason not to stop.
  (void)!::write(STDERR_FILENO, line, end + 1);
  return ::raise(SIGSTOP);
}

// The pid outside, for whoever listens there to know this process by; or only that it is ready.
int tell_ready(int fd, const pid_t* outer_pid) noexcept {
  if (outer_pid == nullptr)
    return static_cast<int>(::send(fd, ready_word.data(), ready_word.size(), MSG_NOSIGNAL));
  char message[40] = "{\"data\":";
  write_decimal(message + ::strlen(message), static_cast<unsigned long>(*outer_pid));
  const std::size_t end = ::strlen(message);
  message[end] = '}';
  message[end + 1] = '\n';
  return static_cast<int>(::send(fd, message, end + 2, MSG_NOSIGNAL));
}

// Those that cannot be changed are as they are by default.
int reset_signals() noexcept {
  for (int number = 1; number < _NSIG; ++number) (void)::signal(number, SIG_DFL);
  return 0;
}

// One step; negative with errno when it failed.
int perform(const Step& step, const ExecPlan& plan) noexcept {
  switch (step.kind) {
    case Step::Kind::new_session: return ::setsid();
    case Step::Kind::die_with_parent: return die_with_parent(step.source);
    case Step::Kind::die_with_outer_parent: return die_with_outer_parent(step.source);
    case Step::Kind::lift: return ::dup3(step.source, step.target, O_CLOEXEC);
    case Step::Kind::place: return ::dup2(step.source, step.target);
    case Step::Kind::keep: return ::fcntl(step.source, F_SETFD, 0);
    case Step::Kind::seal: return mark_close_on_exec(step.source, step.target);
    case Step::Kind::close: return ::close(step.source);
    case Step::Kind::set_cloexec: return ::fcntl(step.source, F_SETFD, FD_CLOEXEC);
    case Step::Kind::set_nonblock: return set_nonblock(step.source);
    case Step::Kind::shut_down: return ::shutdown(step.source, SHUT_RDWR);
    case Step::Kind::make: return make(static_cast<NewFd>(step.source), step.target);
    case Step::Kind::ignore_signal: return ::signal(step.source, SIG_IGN) == SIG_ERR ? -1 : 0;
    case Step::Kind::reset_signals: return reset_signals();
    case Step::Kind::limit_nofile: return limit_nofile(static_cast<rlim_t>(step.source));
    case Step::Kind::deny_sockets: return deny_sockets();
    case Step::Kind::wait: return ::poll(nullptr, 0, step.source) < 0 && errno != EINTR ? -1 : 0;
    case Step::Kind::stop: return stop(plan.stop_notice, plan.outer_pid);
    case Step::Kind::own_mounts: return own_mounts();
    case Step::Kind::mount_proc:
      return ::mount("proc", plan.proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
    case Step::Kind::enter_root: return enter_root(plan.root);
    case Step::Kind::change_directory: return ::chdir(plan.directory);
    case Step::Kind::name_pid:
      write_decimal(
          step.source < 0 ? plan.listen_pid : plan.pid_variables[static_cast<std::size_t>(step.source)],
          static_cast<unsigned long>(::getpid()));
      return 0;
    case Step::Kind::name_pidfdid: return name_pidfdid(plan.listen_pidfdid);
    case Step::Kind::tell_ready: return tell_ready(step.source, plan.outer_pid);
    case Step::Kind::observe: return observe(*plan.snapshot);
    case Step::Kind::unblock: return ::sigprocmask(SIG_SETMASK, &plan.signal_mask, nullptr);
    case Step::Kind::exec: return ::execve(plan.program, plan.argv, plan.envp);
  }
  errno = EINVAL;
  return -1;
}

}  // namespace

int mark_close_on_exec(int first, int last) noexcept {
  const auto from = static_cast<unsigned>(first);
  const auto to = static_cast<unsigned>(last);
  // Mark rather than close: the pipe on which a shim tells that it is ready has to live until exec succeeds.
  if (::close_range(from, to, static_cast<int>(CLOSE_RANGE_CLOEXEC)) == 0) return 0;
  return mark_one_by_one(first, last);
}

std::optional<ExecFailure> carry_out(const ExecPlan& plan, std::size_t first, std::size_t end) noexcept {
  for (std::size_t i = first; i < end; ++i) {
    const Step& step = plan.steps[i];
    if (perform(step, plan) < 0) return ExecFailure{step, errno};
  }
  return std::nullopt;
}

ExecFailure become(const ExecPlan& plan) noexcept {
  const auto failure = carry_out(plan, 0, plan.steps.size());
  return failure ? *failure : ExecFailure{Step::exec(), EINVAL};
}

pid_t borrow_child(int (*child_main)(void*), char* stack_top, ChildOrders& given, pid_t& pid,
                   Kin kin) noexcept {
  // A sibling's end is announced to the common parent by the signal that announces this process's own.
  const int end = kin == Kin::sibling ? CLONE_PARENT : SIGCHLD;
  return ::clone(child_main, stack_top, CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | end, &given, &pid);
}

int exec_child_main(void* given) noexcept {
  const auto& orders = *static_cast<ChildOrders*>(given);
  const std::size_t exec = orders.plan->steps.size() - 1;
  auto failure = carry_out(*orders.plan, 0, exec);
  orders.report->came_to_exec = !failure;
  if (!failure) failure = carry_out(*orders.plan, exec, exec + 1);
  orders.report->failure = failure ? *failure : ExecFailure{Step::exec(), EINVAL};
  orders.report->failed = true;
  ::_exit(orders.report->failure.step.kind == Step::Kind::exec ? 127 : 126);
}

int intermediate_main(void* given) noexcept {
  auto& orders = *static_cast<ChildOrders*>(given);
  const pid_t child = borrow_child(exec_child_main, orders.grandchild_stack_top, orders, orders.report->pid);
  if (child < 0) orders.report->fork_error = errno;
  ::_exit(0);
}

}  // namespace fdchain
