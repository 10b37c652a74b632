#include "fdchain/system/processes.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/child.h"

namespace fdchain {
namespace {

TEST(EndAllChildren, ReachesTheOrphansOfOrphans) {
  EXPECT_EQ(test::in_child([] {
              ::prctl(PR_SET_CHILD_SUBREAPER, 1);
              int ends[2];
              if (::pipe(ends) < 0) return 2;
              if (::fork() == 0) {
                ::setsid();
                if (::fork() == 0) {
                  ::fork();
                  (void)!::write(ends[1], "x", 1);
                  ::pause();
                }
                ::pause();
              }
              char ready[2];
              if (::read(ends[0], ready, 1) != 1 || ::read(ends[0], ready, 1) != 1) return 3;
              end_all_children();
              ::close(ends[1]);
              // Every writer is gone, and nobody is left to wait for.
              return ::read(ends[0], ready, 1) == 0 && ::waitpid(-1, nullptr, WNOHANG) < 0 &&
                             children_of_this_process().empty()
                         ? 0
                         : 1;
            }),
            0);
}

TEST(EndSession, KillsTheSessionAndNobodyElse) {
  const pid_t leader = ::fork();
  if (leader == 0) {
    ::setsid();
    ::pause();
  }
  const pid_t bystander = ::fork();
  if (bystander == 0) ::pause();
  while (::getsid(leader) != leader) ::sched_yield();
  end_session(leader);
  int status = 0;
  ASSERT_EQ(::waitpid(leader, &status, 0), leader);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_EQ(::waitpid(bystander, &status, WNOHANG), 0);
  ::kill(bystander, SIGKILL);
  ::waitpid(bystander, &status, 0);
}

}  // namespace
}  // namespace fdchain
