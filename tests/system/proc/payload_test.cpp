#include "fdchain/system/proc/payload.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

pid_t child_that_stands_still() {
  const pid_t pid = check(::fork(), "fork");
  while (pid == 0) ::pause();
  return pid;
}

// It is reaped by somebody: whoever made it.
void wait_for_end(pid_t pid) {
  siginfo_t info{};
  check(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), "waitid");
}

TEST(Payload, AChildIsSignalledByItsNumberAndReapedOnce) {
  Payload payload(child_that_stands_still());
  EXPECT_FALSE(payload.try_reap());
  EXPECT_FALSE(payload.has_ended());
  payload.signal(SIGKILL);
  wait_for_end(payload.pid());
  EXPECT_TRUE(payload.try_reap());
  EXPECT_TRUE(payload.try_reap());
  EXPECT_EQ(payload.status(), WaitStatus::for_signal(SIGKILL));
}

TEST(Payload, WhoseEndIsKnownGetsNoSignalAnyMore) {
  std::vector<int> sent;
  Payload payload(1, [&](int number) { sent.push_back(number); });
  payload.signal(SIGUSR1);
  payload.set_ended(WaitStatus::for_exit_code(3));
  payload.signal(SIGUSR2);
  EXPECT_EQ(sent, std::vector{SIGUSR1});
  EXPECT_EQ(payload.status(), WaitStatus::for_exit_code(3));
}

// What SIGKILL had to stand in for is what it died of; of a SIGKILL of its own it died of that.
TEST(Payload, Process1DiesOfTheSignalThatItWasSent) {
  Payload payload = Payload::process_1(child_that_stands_still());
  payload.signal(SIGTERM);
  wait_for_end(payload.pid());
  ASSERT_TRUE(payload.try_reap());
  EXPECT_EQ(payload.ended(), WaitStatus::for_signal(SIGKILL));
  EXPECT_EQ(payload.status(), WaitStatus::for_signal(SIGTERM));
}

TEST(Payload, Process1ThatIsKilledDiesOfSigkill) {
  Payload payload = Payload::process_1(child_that_stands_still());
  payload.signal(SIGKILL);
  wait_for_end(payload.pid());
  ASSERT_TRUE(payload.try_reap());
  EXPECT_EQ(payload.status(), WaitStatus::for_signal(SIGKILL));
}

TEST(Payload, NobodyLooksAgainAtOneThatHasEnded) {
  const pid_t pid = check(::fork(), "fork");
  if (pid == 0) {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    ::raise(SIGSTOP);
    while (true) ::pause();
  }
  siginfo_t info{};
  check(::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED), "waitid");
  Payload payload = Payload::process_1(pid);
  EXPECT_EQ(payload.next_look(), no_deadline);
  payload.signal(SIGUSR1);
  EXPECT_LT(payload.next_look(), no_deadline);
  payload.signal(SIGKILL);
  wait_for_end(pid);
  ASSERT_TRUE(payload.try_reap());
  EXPECT_EQ(payload.next_look(), no_deadline);
  payload.look_again();
}

}  // namespace
}  // namespace fdchain
