#include "fdchain/system/exec/spawn.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <map>
#include <random>

#include "fdchain/model/wait_status.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/owned_range.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/processes.h"
#include "fdchain/system/proc/self.h"
#include "fdchain/system/trace/arrival.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

HandOver run_shell(const std::string& script) {
  HandOver next;
  next.program = "/bin/sh";
  next.argv = {"sh", "-c", script};
  next.environment = Environment({"PATH=/usr/bin:/bin"});
  return next;
}

WaitStatus wait_for(pid_t pid) {
  int status = 0;
  check(retry([&] { return ::waitpid(pid, &status, 0); }), "waitpid");
  return WaitStatus(status);
}

// What a shell script prints when it is run as the next program of `next`.
std::string output_of(HandOver next, const sigset_t& mask = current_signal_mask()) {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC), "pipe2");
  const OwnedFd read_end(ends[0]);
  OwnedFd write_end(ends[1]);
  next.passed.push_back({write_end.get(), STDOUT_FILENO, 1, false, "stdout"});
  ExecImage image(next, mask);
  const Spawned spawned = spawn(image);
  write_end.close();
  EXPECT_FALSE(spawned.failure) << image.describe(spawned.failure.value_or(ExecFailure{}));
  const std::string text = test::read_all(read_end.get());
  EXPECT_EQ(wait_for(spawned.pid), WaitStatus::for_exit_code(0));
  return text;
}

TEST(Spawn, NamesTheChildInLISTEN_PID) {
  HandOver next = run_shell("[ \"$LISTEN_PID\" = $$ ] && echo right $LISTEN_FDS");
  next.environment.set("LISTEN_PID", "1");
  next.environment.set("LISTEN_FDS", "1");
  next.name_pid = true;
  EXPECT_EQ(output_of(next), "right 1\n");
}

TEST(Spawn, NamesTheChildInWhateverElseNamesAProcess) {
  HandOver next =
      run_shell("[ \"$WATCHDOG_PID,$SYSTEMD_EXEC_PID,$LISTEN_PID\" = $$,$$,$$ ] && echo right $MAINPID");
  for (const char* const name : {"WATCHDOG_PID", "SYSTEMD_EXEC_PID", "LISTEN_PID", "MAINPID"})
    next.environment.set(name, "7");
  next.name_pid = true;
  next.pid_variables = {"WATCHDOG_PID", "SYSTEMD_EXEC_PID"};
  EXPECT_EQ(output_of(next), "right 7\n");
}

TEST(Spawn, NamesTheChildInLISTEN_PIDFDID) {
  const Self self = observe_self();
  if (!self.pidfdid)
    GTEST_SKIP() << "this kernel's pidfds have no inode number of their own (before Linux 6.9)";
  HandOver next = run_shell("echo $LISTEN_PIDFDID; read line");
  next.name_pidfdid = true;
  int out[2];
  int in[2];
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
  const OwnedFd out_read(out[0]);
  OwnedFd out_write(out[1]);
  OwnedFd in_read(in[0]);
  OwnedFd in_write(in[1]);
  next.passed = {{out_write.get(), 1, 1, false, "stdout"}, {in_read.get(), 0, 1, false, "stdin"}};
  ExecImage image(next, current_signal_mask());
  const Spawned spawned = spawn(image);
  out_write.close();
  char text[64]{};
  ASSERT_GT(::read(out_read.get(), text, sizeof text - 1), 0);
  const OwnedFd pidfd(open_pidfd(spawned.pid));
  EXPECT_EQ(std::to_string(observe_fd(pidfd.get())->inode) + '\n', text);
  in_write.close();
  wait_for(spawned.pid);
}

TEST(Spawn, PassesWhatIsPlannedAndNothingElse) {
  const OwnedFd socket(check(::eventfd(0, EFD_CLOEXEC), "eventfd"));
  const OwnedFd stray(check(::fcntl(socket.get(), F_DUPFD, 40), "fcntl"));
  HandOver next = run_shell("ls /proc/self/fd | tr '\\n' ' '");
  next.passed.push_back({socket.get(), 5, 1, false, "socket"});
  // 3 is the descriptor with which ls reads the directory.
  EXPECT_EQ(output_of(next), "0 1 2 3 5 ");
}

TEST(Spawn, ResetsSignalsWhereThatIsPlanned) {
  HandOver next = run_shell("sed -n '/^SigI/s/\t/ /p' /proc/self/status");
  ::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(output_of(next), "SigIgn: 0000000000001000\n");
  next.extra.push_back({Step::reset_signals(), "for the test"});
  EXPECT_EQ(output_of(next), "SigIgn: 0000000000000000\n");
  ::signal(SIGPIPE, SIG_DFL);
}

TEST(Spawn, GivesBackTheMaskOfBefore) {
  ::signal(SIGPIPE, SIG_DFL);  // whoever started this test may ignore it
  sigset_t wanted = signals_to_relay();
  ::sigaddset(&wanted, SIGCHLD);
  const SignalFd signals = receive_signals(wanted);
  HandOver next = run_shell("sed -n '/^Sig[BIC]/s/\t/ /p' /proc/self/status | tr '\n' ' '");
  EXPECT_EQ(output_of(next, signals.mask_before),
            "SigBlk: 0000000000000000 SigIgn: 0000000000000000 SigCgt: 0000000000000000 ");
  ::sigprocmask(SIG_SETMASK, &signals.mask_before, nullptr);
}

TEST(Spawn, TellsWhichStepFailed) {
  HandOver next = run_shell("exit 0");
  next.program = "/nonexistent/program";
  ExecImage missing(next, current_signal_mask());
  const Spawned not_there = spawn(missing);
  ASSERT_TRUE(not_there.failure);
  EXPECT_EQ(missing.describe(*not_there.failure), "exec /nonexistent/program: No such file or directory");
  next = run_shell("exit 0");
  next.passed.push_back({700, 3, 1, false, "socket web"});
  ExecImage closed(next, current_signal_mask());
  const Spawned not_open = spawn(closed);
  ASSERT_TRUE(not_open.failure);
  EXPECT_EQ(closed.describe(*not_open.failure), "place 700 -> 3 (socket web): Bad file descriptor");
}

TEST(Spawn, KillsTheChildWithItsParentWhenAskedTo) {
  EXPECT_EQ(test::in_child([] {
              ::prctl(PR_SET_CHILD_SUBREAPER, 1);
              int ends[2];
              if (::pipe2(ends, O_CLOEXEC) < 0) return 2;
              const pid_t parent = ::fork();
              if (parent == 0) {
                HandOver next = run_shell("echo up; exec sleep 100");
                next.die_with_parent = ::getpid();
                next.passed.push_back({ends[1], STDOUT_FILENO, 1, false, "stdout"});
                ExecImage image(next, current_signal_mask());
                spawn(image);
                ::pause();
              }
              ::close(ends[1]);
              char byte = 0;
              if (::read(ends[0], &byte, 1) != 1) return 3;
              ::kill(parent, SIGKILL);
              ::waitpid(parent, nullptr, 0);
              int status = 0;
              ::waitpid(-1, &status, 0);  // the orphan, now ours
              return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : 1;
            }),
            0);
}

TEST(SpawnDetached, TheChildIsAnOrphanWithASessionOfItsOwn) {
  HandOver next = run_shell("exec sleep 100");
  next.new_session = true;
  ExecImage image(next, current_signal_mask());
  const Spawned spawned = spawn_detached(image);
  ASSERT_FALSE(spawned.failure);
  reap(spawned.intermediate);
  EXPECT_EQ(::getsid(spawned.pid), spawned.pid);
  EXPECT_EQ(children_of_this_process(), std::vector<pid_t>{spawned.pid})
      << "this test is the nearest subreaper";
  ::kill(spawned.pid, SIGKILL);
  wait_for(spawned.pid);
}

TEST(SpawnDetached, ReportsAFailedExecOfTheGrandchild) {
  HandOver next = run_shell("exit 0");
  next.program = "/nonexistent/program";
  ExecImage image(next, current_signal_mask());
  const Spawned spawned = spawn_detached(image);
  ASSERT_TRUE(spawned.failure);
  EXPECT_EQ(image.describe(*spawned.failure), "exec /nonexistent/program: No such file or directory");
  EXPECT_EQ(spawned.intermediate, 0) << "reaped, like the grandchild: no test may leave a child";
}

// A table of objects at random numbers and a random mapping; everything is looked at after the plan has been
// carried out, in the child, since the program to exec is not there.
int renumber_at_random(unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  ::close_range(3, ~0U, 0);
  std::map<int, ino_t> objects;
  for (int i = 0; i < 12; ++i) {
    const int number = below(20);
    const int object = ::memfd_create("object", MFD_CLOEXEC);
    const int high = ::fcntl(object, F_DUPFD_CLOEXEC, 100);
    ::close(object);
    ::dup3(high, number, O_CLOEXEC);
    ::close(high);
    objects[number] = observe_fd(number)->inode;
  }
  std::vector<int> sources;
  for (const auto& [number, inode] : objects) sources.push_back(number);
  HandOver next = run_shell("");
  next.program = "/nonexistent/program";
  std::map<int, ino_t> expected;
  for (int i = 0; i < 8; ++i) {
    const int source = sources[static_cast<std::size_t>(below(static_cast<int>(sources.size())))];
    const int target = below(16);
    if (!expected.emplace(target, objects[source]).second) continue;
    next.passed.push_back({source, target, 1, false, "object"});
  }
  ExecImage image(next, current_signal_mask());
  if (become(image.plan()).step.kind != Step::Kind::exec) return 2;
  for (const FdRow& row : observe_fds()) {
    const auto wanted = expected.find(row.number);
    if (row.number <= STDERR_FILENO && wanted == expected.end()) continue;
    if (row.close_on_exec != (wanted == expected.end())) return 3;
    if (wanted != expected.end() && row.inode != wanted->second) return 4;
    if (wanted != expected.end()) expected.erase(wanted);
  }
  return expected.empty() ? 0 : 5;
}

TEST(Become, RenumbersRealDescriptorsRightForRandomMappings) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    ASSERT_EQ(test::in_child([seed] { return renumber_at_random(seed); }), 0) << "seed " << seed;
  }
}

// Makes close_range(2) fail with EPERM, as a sandbox that does not know it does.
bool deny_close_range() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(filter), filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(CloseRange, IsDoneWithoutWhereItIsRefused) {
  EXPECT_EQ(test::in_child([] {
              ::close_range(3, ~0U, 0);
              for (int fd = 3; fd < 300; ++fd) {
                if (::eventfd(0, 0) != fd) return 2;
              }
              if (!deny_close_range()) return 3;
              if (::close_range(299, 299, 0) == 0) return 4;
              if (mark_close_on_exec(5, INT_MAX) < 0) return 5;
              for (int fd = 3; fd < 300; ++fd) {
                if (::fcntl(fd, F_GETFD) != (fd < 5 ? 0 : FD_CLOEXEC)) return 6;
              }
              if (::fcntl(300, F_GETFD) >= 0) return 7;
              OwnedRange(10, 280).close();
              for (int fd = 3; fd < 300; ++fd) {
                if ((::fcntl(fd, F_GETFD) >= 0) != (fd < 10 || fd >= 290)) return 8;
              }
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace fdchain
