#include "fdchain/system/proc/process_info.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <string>

#include "fdchain/system/fd/sys.h"
#include "tests/support/child.h"

namespace fdchain::proc {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

std::string status_of(const std::string& name) {
  return "Name:\t" + name +
         "\nUmask:\t0022\nState:\tS "
         "(sleeping)\nTgid:\t77\nPid:\t77\nPPid:\t70\nNStgid:\t77\t1\nNSpid:\t77\t1\n"
         "SigPnd:\t0000000000000000\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001000\n"
         "SigCgt:\t0000000000004000\n";
}

std::string stat_of(const std::string& name) {
  std::string text = "77 (" + name + ") S 70 77 77 0 -1 4194304";
  for (int field = 10; field <= 52; ++field) text += field == 22 ? " 12345" : ' ' + std::to_string(field);
  return text + '\n';
}

// Whatever 15 bytes a process calls itself; the kernel writes a line feed in `status` as `\n`, and in `stat`
// as it is.
class HostileName : public ::testing::TestWithParam<const char*> {};

TEST_P(HostileName, ChangesNothingOfTheStatus) {
  EXPECT_THAT(parse_status(status_of(GetParam())), Optional(Status{70, 1, {0x2, 0x1000, 0x4000}}));
}

TEST_P(HostileName, ChangesNothingOfTheStatBesideItself) {
  EXPECT_THAT(parse_stat(stat_of(GetParam())), Optional(Stat{GetParam(), 'S', 70, true, 12345, 50, 51}));
}

INSTANTIATE_TEST_SUITE_P(All, HostileName,
                         ::testing::Values("NSpid: 42", "PPid: 1", "SigIgn: 4000", "SigBlk:\t1", "", " ", "(",
                                           ")", ") R 1 2 3 4 5 6", "((()))", "fifteen bytes!!",
                                           "a\\nPPid: 1"));

TEST(Stat, ANameMayHaveLineFeeds) {
  EXPECT_THAT(parse_stat(stat_of("a\n) Z 1\nb")),
              Optional(Stat{"a\n) Z 1\nb", 'S', 70, true, 12345, 50, 51}));
}

TEST(Stat, AChildThatHasNotExecutedIsKnown) {
  std::string text = stat_of("x");
  text.replace(text.find("4194304"), 7, "4194368");  // and PF_FORKNOEXEC
  EXPECT_THAT(parse_stat(text), Optional(Stat{"x", 'S', 70, false, 12345, 50, 51}));
}

TEST(Stat, HalfOfOneIsNone) {
  const std::string whole = stat_of("x");
  for (std::size_t length = 0; length < whole.find(" 51"); ++length)
    ASSERT_EQ(parse_stat(whole.substr(0, length)), std::nullopt) << length;
  EXPECT_EQ(parse_stat("77 (x) S 70 77 77 0 -1 flags"), std::nullopt);
}

TEST(Status, HalfOfOneIsNone) {
  const std::string whole = status_of("x");
  const std::size_t complete = whole.find("SigCgt:\t") + std::string("SigCgt:\t").size();
  for (std::size_t length = 0; length <= complete; ++length)
    ASSERT_EQ(parse_status(whole.substr(0, length)), std::nullopt) << length;
}

TEST(Status, WithoutPidNamespacesThePidIsTheOneThereIs) {
  std::string text = status_of("x");
  text.erase(text.find("NSpid:"), std::string("NSpid:\t77\t1\n").size());
  EXPECT_THAT(parse_status(text), Optional(Status{70, 77, {0x2, 0x1000, 0x4000}}));
}

TEST(Fields, AreFoundAtTheStartOfALineOnly) {
  EXPECT_EQ(value_of("pos:\t0\nflags:\t02\nmnt_id:\t9\n", "flags:"), "02");
  EXPECT_EQ(value_of("pos: flags: 7\n", "flags:"), std::nullopt);
  EXPECT_EQ(value_of("", "flags:"), std::nullopt);
  EXPECT_EQ(value_of("flags:", "flags:"), "");
}

TEST(Limits, KnowUnlimited) {
  const std::string line =
      "Limit                     Soft Limit           Hard Limit           Units\n"
      "Max open files            1024                 unlimited            files\n";
  EXPECT_THAT(parse_nofile(line), Optional(Nofile{1024, ~std::uint64_t{0}}));
  EXPECT_EQ(parse_nofile("Max open files            1024\n"), std::nullopt);
}

TEST(Strings, EndWithAZeroOrTheEnd) {
  using namespace std::string_view_literals;
  EXPECT_THAT(split_strings("a\0\0b=c\0"sv), ElementsAre("a", "", "b=c"));
  EXPECT_THAT(split_strings("a\0cut"sv), ElementsAre("a", "cut"));
  EXPECT_THAT(split_strings(""sv), ElementsAre());
}

// A child of this one that stands still, in `act` before that.
template <typename Act>
pid_t standing_child(Act act) {
  std::array<int, 2> ready{};
  check(::pipe2(ready.data(), O_CLOEXEC), "pipe2");
  const OwnedFd in(ready[0]);
  OwnedFd out(ready[1]);
  const pid_t child = check(::fork(), "fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    act();
    (void)!::write(out.get(), "x", 1);
    while (true) ::pause();
  }
  out.close();
  char byte = 0;
  EXPECT_EQ(::read(in.get(), &byte, 1), 1);
  return child;
}

void end(pid_t child) {
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST(Process, OfThisProcessSaysWhatIsSo) {
  const auto self = Process::self();
  ASSERT_TRUE(self);
  const auto status = self->status();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->parent, ::getppid());
  EXPECT_EQ(status->pid_in_namespace, ::getpid());
  EXPECT_EQ(self->stat()->parent, ::getppid());
  EXPECT_TRUE(self->stat()->has_executed);
  EXPECT_EQ(self->space("mnt"), Process::find(::getpid())->space("mnt"));
  EXPECT_EQ(self->link("exe"), Process::find(::getpid())->link("exe"));
  EXPECT_TRUE(self->pidfd());
}

TEST(Process, IsReadRightWhateverItCallsItself) {
  for (const char* const name : {"NSpid: 42", "PPid: 1\nPPid:", ") R 1 1 1 1", "SigIgn: ffff"}) {
    const pid_t child = standing_child([&] {
      ::prctl(PR_SET_NAME, name);
      ::signal(SIGUSR1, SIG_IGN);
    });
    const auto process = Process::find(child);
    ASSERT_TRUE(process);
    const auto status = process->status();
    const auto stat = process->stat();
    ASSERT_TRUE(status && stat) << name;
    EXPECT_EQ(status->parent, ::getpid()) << name;
    EXPECT_EQ(status->pid_in_namespace, child) << name;
    EXPECT_TRUE(status->masks.ignored & 1U << (SIGUSR1 - 1)) << name;
    EXPECT_FALSE(status->masks.ignored & 1U << (SIGTERM - 1)) << name;
    EXPECT_EQ(stat->command, std::string(name).substr(0, 15));
    EXPECT_EQ(stat->parent, ::getpid()) << name;
    EXPECT_FALSE(stat->has_executed) << name;
    end(child);
  }
}

TEST(Process, ThatIsGoneIsNobody) {
  const pid_t child = standing_child([] {});
  const auto process = Process::find(child);
  ASSERT_TRUE(process);
  EXPECT_TRUE(process->exists());
  EXPECT_THAT(Process::self()->children(), Optional(::testing::Contains(child)));
  ::kill(child, SIGKILL);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(process->exists()) << "a zombie keeps its number";
  EXPECT_EQ(process->stat()->state, 'Z');
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(process->exists());
  errno = 0;
  EXPECT_EQ(process->text("status"), std::nullopt);
  EXPECT_TRUE(errno == ESRCH || errno == ENOENT) << errno;
  EXPECT_EQ(process->stat(), std::nullopt);
  EXPECT_EQ(process->environment(), std::nullopt);
  EXPECT_EQ(process->descriptors(), std::nullopt);
  EXPECT_EQ(process->space("pid"), std::nullopt);
  EXPECT_EQ(process->link("exe"), "");
  EXPECT_FALSE(process->pidfd());
  EXPECT_FALSE(Process::find(child));
}

TEST(Process, IsNotItsSuccessorUnderTheSameNumber) {
  EXPECT_EQ(test::in_child([] {
              // Numbers are given anew in a pid namespace of one's own.
              if (::unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) return 2;
              return test::in_child([] {
                if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return 3;
                if (::mount("proc", "/proc", "proc", 0, nullptr) < 0) return 4;
                const pid_t first = standing_child([] {});
                const auto process = Process::find(first);
                end(first);
                std::ofstream("/proc/sys/kernel/ns_last_pid") << first - 1 << std::flush;
                const pid_t second = standing_child([] {});
                if (first != second) return 5;
                const bool fooled = process->exists() || process->stat() || process->pidfd();
                end(second);
                return fooled ? 1 : 0;
              });
            }),
            0);
}

// A process whose next program cannot be told from this one by any address.
class SelfSame {
 public:
  SelfSame() {
    std::ofstream(directory_.file("again.sh")) << "read word && exec /bin/sh \"$0\"\n";
    check(::pipe2(go_.data(), O_CLOEXEC), "pipe2");
    const std::string script = directory_.file("again.sh");
    pid_ = check(::fork(), "fork");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::personality(ADDR_NO_RANDOMIZE);
      ::dup2(go_[0], STDIN_FILENO);
      const std::array<const char*, 3> argv{"/bin/sh", script.c_str(), nullptr};
      const std::array<const char*, 2> environment{"PWD=/", nullptr};
      if (::chdir("/") == 0)
        ::execve("/bin/sh", const_cast<char**>(argv.data()), const_cast<char**>(environment.data()));
      ::_exit(127);
    }
    wait_until_it_reads();
  }
  ~SelfSame() {
    end(pid_);
    for (const int fd : go_) ::close(fd);
  }
  SelfSame(const SelfSame&) = delete;
  SelfSame& operator=(const SelfSame&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }

  // Has it execute itself anew.
  void again() {
    ASSERT_EQ(::write(go_[1], "x\n", 2), 2);
    wait_until_it_reads();
  }

 private:
  // Nothing is left in the pipe, and it sleeps in read(2) of descriptor 0.
  void wait_until_it_reads() const {
    const auto process = Process::find(pid_);
    while (true) {
      int waiting = 1;
      ::ioctl(go_[0], FIONREAD, &waiting);
      const auto call = process->text("syscall");
      if (waiting == 0 && process->link("exe").ends_with("sh") && call && call->starts_with("0 0x0 ")) return;
      ::sched_yield();
    }
  }

  test::TemporaryDirectory directory_;
  std::array<int, 2> go_{-1, -1};
  pid_t pid_ = 0;
};

TEST(Life, OfTheSameProgramAtTheSameAddressesIsAnother) {
  SelfSame shell;
  shell.again();  // from here on it is started by itself
  const auto process = Process::find(shell.pid());
  ASSERT_TRUE(process);
  const auto before = process->stat();
  const auto life = Life::of(*process);
  ASSERT_TRUE(life);
  EXPECT_TRUE(life->goes_on(*process));
  shell.again();
  EXPECT_EQ(process->stat()->environment_start, before->environment_start) << "else this shows nothing";
  EXPECT_EQ(process->stat()->start_time, before->start_time);
  EXPECT_FALSE(life->goes_on(*process));
  EXPECT_TRUE(Life::of(*process)->goes_on(*process));
}

TEST(Life, EndsWithTheProcess) {
  const pid_t child = standing_child([] {});
  const auto process = Process::find(child);
  const auto life = Life::of(*process);
  ASSERT_TRUE(life);
  ::kill(child, SIGKILL);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(life->goes_on(*process));
  EXPECT_FALSE(Life::of(*process)) << "a zombie";
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(life->goes_on(*process));
  EXPECT_FALSE(Life::of(*process));
}

}  // namespace
}  // namespace fdchain::proc
