#include "fdchain/program/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

TEST(Checkpoint, StopsAtTheNamedMomentAndNowhereElse) {
  const Environment environment({"FDCHAIN_STOP=launcher:running,monitor:after-fork"});
  const pid_t child = ::fork();
  if (child == 0) {
    checkpoint(environment, Hop::monitor, Moment::arrival);
    ::close(STDERR_FILENO);
    checkpoint(environment, Hop::monitor, Moment::after_fork);
    ::_exit(7);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  EXPECT_TRUE(WIFSTOPPED(status));
  ::kill(child, SIGCONT);
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(Checkpoint, OfDepartureIsAnEditOfThePlan) {
  HandOver next;
  next.from = Hop::monitor;
  add_departure_checkpoint(
      Environment({"FDCHAIN_STOP=monitor:departure", "FDCHAIN_DELAY=monitor:departure=20"}), next);
  EXPECT_TRUE(next.stop_at_departure);
  EXPECT_EQ(next.delay_at_departure, 20);
}

TEST(Checkpoint, RefusesWhatNamesNoPlace) {
  for (const auto* const bad : {"FDCHAIN_STOP=monitor", "FDCHAIN_STOP=x:arrival", "FDCHAIN_STOP=monitor:x",
                                "FDCHAIN_STOP=payload:departure", "FDCHAIN_STOP=runtime-shim:running",
                                "FDCHAIN_DELAY=monitor:arrival", "FDCHAIN_DELAY=monitor:arrival=x"}) {
    EXPECT_THROW(checkpoint(Environment({bad}), Hop::payload, Moment::arrival), Failure) << bad;
  }
}

}  // namespace
}  // namespace fdchain
