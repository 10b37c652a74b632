#include "fdchain/system/proc/processes.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
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

TEST(EndAllChildren, SparesWhomItIsToldToAndCountsTheOthers) {
  EXPECT_EQ(test::in_child([] {
              const pid_t spared = ::fork();
              if (spared == 0) ::pause();
              for (int i = 0; i < 3; ++i) {
                if (::fork() == 0) ::pause();
              }
              const std::vector<pid_t> list{spared};
              if (end_all_children(list) != 3) return 1;
              if (children_of_this_process() != list) return 2;
              // Spared also while nothing else is there; and it is no reason to wait.
              if (end_all_children(list) != 0 || !has_children()) return 3;
              return end_all_children() == 1 && !has_children() ? 0 : 4;
            }),
            0);
}

TEST(Children, AreFoundWithoutTheKernelsListToo) {
  EXPECT_EQ(test::in_child([] {
              if (has_children() || !children_by_search().empty()) return 1;
              const pid_t lives = ::fork();
              if (lives == 0) {
                ::prctl(PR_SET_NAME, ") R 1 (");
                ::pause();
              }
              const pid_t zombie = ::fork();
              if (zombie == 0) ::_exit(0);
              siginfo_t info{};
              ::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT);
              const std::vector<pid_t> both{std::min(lives, zombie), std::max(lives, zombie)};
              std::vector<pid_t> found = children_by_search();
              std::ranges::sort(found);
              end_all_children();
              return found == both ? 0 : 2;
            }),
            0);
}

TEST(Processes, AChildIsOneUntilItIsReapedAndADescendantMayBeDeeper) {
  const pid_t self = ::getpid();
  EXPECT_FALSE(is_child(1));
  EXPECT_FALSE(is_child(self));
  EXPECT_FALSE(is_child(::getppid()));
  EXPECT_FALSE(is_descendant(1));
  EXPECT_FALSE(is_descendant(self));
  EXPECT_FALSE(is_descendant(::getppid()));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) ::pause();
    (void)!::write(ends[1], &grandchild, sizeof grandchild);
    ::pause();
  }
  pid_t grandchild = 0;
  ASSERT_EQ(::read(ends[0], &grandchild, sizeof grandchild), static_cast<ssize_t>(sizeof grandchild));
  EXPECT_TRUE(is_child(child));
  EXPECT_TRUE(is_descendant(child));
  EXPECT_FALSE(is_child(grandchild));
  EXPECT_TRUE(is_descendant(grandchild));
  ::kill(grandchild, SIGKILL);
  ::kill(child, SIGKILL);
  siginfo_t info{};
  EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(is_child(child)) << "a zombie is one";
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(is_child(child));
  ::waitpid(grandchild, nullptr, 0);  // of a subreaper's
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace fdchain
