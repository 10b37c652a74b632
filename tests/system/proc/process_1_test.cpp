#include "fdchain/system/proc/process_1.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

// A child that does something about signals and then stands still; ended by SIGKILL.
class Standing {
 public:
  explicit Standing(const std::function<void()>& prepare) : pid_(check(::fork(), "fork")) {
    if (pid_ != 0) return;
    prepare();
    while (true) ::pause();
  }
  ~Standing() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Standing(const Standing&) = delete;
  Standing& operator=(const Standing&) = delete;

  // Waits until it minds USR1, and tells what it then thinks of USR2.
  [[nodiscard]] bool minds_usr2_too() const {
    while (!minds_signal(pid_, SIGUSR1)) ::sched_yield();
    return minds_signal(pid_, SIGUSR2);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }

  // Whether one of the sets in its status has the signal.
  [[nodiscard]] bool has(const std::string& set, int number) const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(set))
        return (std::stoull(line.substr(set.size()), nullptr, 16) >> (number - 1) & 1) != 0;
    }
    return false;
  }

  // Waits for its end, and leaves it to be reaped.
  [[nodiscard]] int signal_that_ended_it() const {
    siginfo_t info{};
    check(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT), "waitid");
    return info.si_status;
  }

 private:
  pid_t pid_;
};

sigset_t only_usr1() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGUSR1);
  return set;
}

TEST(Process1, ASignalIsMindedThatIsCaughtIgnoredBlockedOrWaitedFor) {
  EXPECT_FALSE(Standing([] { ::signal(SIGUSR1, [](int) {}); }).minds_usr2_too());
  EXPECT_FALSE(Standing([] { ::signal(SIGUSR1, SIG_IGN); }).minds_usr2_too());
  EXPECT_FALSE(Standing([] {
                 const sigset_t set = only_usr1();
                 ::sigprocmask(SIG_BLOCK, &set, nullptr);
               }).minds_usr2_too());
  // As tini and other inits do. Not blocked first, so that nothing else shows it.
  EXPECT_FALSE(Standing([] {
                 const sigset_t set = only_usr1();
                 int number = 0;
                 ::sigwait(&set, &number);
               }).minds_usr2_too());
}

TEST(Process1, AProcessThatIsGoneMindsNothingAnyMore) {
  const pid_t child = check(::fork(), "fork");
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(minds_signal(child, SIGUSR1));
}

// What blocks everything may do so for the moment of a fork, or receive its signals in its own way: it is
// sent the signal at once, and looked at again.
TEST(Process1, WhoBlocksEverythingIsSentTheSignalAndLookedAtAgainForAWhile) {
  const Standing child([] {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
  });
  while (!child.has("SigBlk:", SIGUSR1)) ::sched_yield();
  EXPECT_FALSE(minds_signal(child.pid(), SIGUSR1));
  Process1 process(child.pid());
  EXPECT_EQ(process.next_look(), no_deadline);
  process.signal(SIGUSR1);
  EXPECT_TRUE(child.has("ShdPnd:", SIGUSR1));
  const auto begun = std::chrono::steady_clock::now();
  while (process.next_look() != no_deadline) {
    std::this_thread::sleep_until(process.next_look());
    process.look_again();
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(500));
  EXPECT_EQ(process.fatal(), 0);
}

// Whoever waits for something else, too, may ask after each of its wake-ups.
TEST(Process1, ALookThatIsNotDueYetIsNone) {
  const Standing child([] {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
  });
  while (!child.has("SigBlk:", SIGUSR1)) ::sched_yield();
  Process1 process(child.pid());
  const auto begun = std::chrono::steady_clock::now();
  process.signal(SIGUSR1);
  while (process.next_look() != no_deadline) process.look_again();
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(500));
}

TEST(Process1, AFatalSignalIsRememberedAndKills) {
  const Standing child([] {});
  Process1 process(child.pid());
  process.signal(SIGCHLD);
  EXPECT_EQ(process.fatal(), 0);
  process.signal(SIGTERM);
  EXPECT_EQ(process.fatal(), SIGTERM);
  EXPECT_EQ(process.next_look(), no_deadline);
  EXPECT_EQ(child.signal_that_ended_it(), SIGKILL);
}

}  // namespace
}  // namespace fdchain
