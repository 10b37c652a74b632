#include "fdchain/system/process_1.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "fdchain/system/sys.h"

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

}  // namespace
}  // namespace fdchain
