// What the runtime says where the kernel refuses what hardly ever is refused, or where a container dies in
// the middle of a call.

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/wait_until.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;

class OciRefused : public OciTest {
 protected:
  /// Starts the runtime as a child that does `first` before its exec; what it says goes to a file.
  pid_t start(const Words& words, const std::function<bool()>& first) {
    Words all = runtime(words).argv;
    std::vector<char*> argv;
    for (std::string& word : all) argv.push_back(word.data());
    argv.push_back(nullptr);
    const OwnedFd said(check(::open(file("said").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
                             "open", file("said")));
    const pid_t pid = check(::fork(), "fork");
    if (pid != 0) return pid;
    for (const int number : {STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(said.get(), number);
    if (first()) ::execv(argv.front(), argv.data());
    ::_exit(99);
  }

  [[nodiscard]] std::string said() const { return read_file(file("said")); }

  static WaitStatus reap(pid_t pid) {
    int status = 0;
    check(::waitpid(pid, &status, 0), "waitpid");
    return WaitStatus(status);
  }
};

// Makes close_range(2) fail, as a sandbox does that does not know it.
bool deny_close_range() {
  std::array filter{
      sock_filter(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))),
      sock_filter(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1)),
      sock_filter(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)),
      sock_filter(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)),
  };
  const sock_fprog program{filter.size(), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// A descriptor of the host's that only counts as closed would be a way out of the container.
TEST_F(OciRefused, ClosingEndsTheCreation) {
  write(config(shell("echo ran")));
  const pid_t pid = start({"run", "-b", bundle(), "c"}, deny_close_range);
  EXPECT_EQ(reap(pid), WaitStatus::for_exit_code(1));
  EXPECT_EQ(said(), "runtime-shim: close_range: Operation not permitted\n");
}

TEST_F(OciRefused, ClosingEndsTheExec) {
  write(config(shell("sleep 100")));
  succeed({"run", "--detach", "-b", bundle(), "c"});
  const pid_t pid = start({"exec", "c", "/bin/sh", "-c", "echo ran"}, deny_close_range);
  EXPECT_EQ(reap(pid), WaitStatus::for_exit_code(255));
  EXPECT_EQ(said(), "runtime-shim: close_range: Operation not permitted\n");
  succeed({"delete", "--force", "c"});
}

// Whether a process stands before a write of the byte for which a container waits.
bool is_about_to_let_go(pid_t pid) {
  __ptrace_syscall_info call{};
  check(::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof call, &call), "ptrace");
  if (call.op != PTRACE_SYSCALL_INFO_ENTRY || call.entry.nr != SYS_write || call.entry.args[2] != 1)
    return false;
  const std::string link = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(call.entry.args[0]);
  return fs::read_symlink(link).native().find("exec.fifo") != std::string::npos;
}

bool is_dead(pid_t pid) {
  std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat.empty() || stat.find(") Z ") != std::string::npos;
}

// The look at the container, the opened FIFO: all of it was right a moment ago.
TEST_F(OciRefused, AContainerThatDiesBeforeItIsLetGoIsNoSignalForTheRuntime) {
  write(config(shell("true")));
  succeed({"create", "-b", bundle(), "--pid-file", file("pid"), "c"});
  const pid_t container = std::stoi(read_file(file("pid")));
  const pid_t pid = start({"start", "c"}, [] { return ::ptrace(PTRACE_TRACEME, 0, 0, 0) == 0; });
  int status = 0;
  check(::waitpid(pid, &status, 0), "waitpid");
  check(::ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), "ptrace");
  bool killed = false;
  for (int signal = 0; WIFSTOPPED(status);) {
    if (!killed && WSTOPSIG(status) == (SIGTRAP | 0x80) && is_about_to_let_go(pid)) {
      ::kill(container, SIGKILL);
      wait_until("the container's death", [&] { return is_dead(container); });
      killed = true;
    }
    check(::ptrace(PTRACE_SYSCALL, pid, 0, signal), "ptrace");
    check(::waitpid(pid, &status, 0), "waitpid");
    const bool is_signal = WIFSTOPPED(status) && (WSTOPSIG(status) & 0x7f) != SIGTRAP;
    signal = is_signal ? WSTOPSIG(status) : 0;
  }
  EXPECT_TRUE(killed);
  EXPECT_EQ(WaitStatus(status), WaitStatus::for_exit_code(1));
  EXPECT_EQ(said(), "runtime-shim: container c: it has stopped: No such process\n");
  succeed({"delete", "c"});
}

}  // namespace
}  // namespace fdchain::test
