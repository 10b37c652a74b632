#include "fdchain/system/trace/arrival.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "fdchain/system/proc/self.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

// The child's table is 0, 1, 2 and then `count` descriptors from 3 on; it is told of `announced` of them.
void set_the_stage(int count, int announced) {
  ::close_range(3, ~0U, 0);
  for (int i = 0; i < count; ++i) ::eventfd(0, 0);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", std::to_string(announced).c_str(), 1);
  ::unsetenv("LISTEN_FDNAMES");
}

bool is_inheritable(int fd) { return ::fcntl(fd, F_GETFD) == 0; }
bool is_close_on_exec(int fd) { return ::fcntl(fd, F_GETFD) == FD_CLOEXEC; }

TEST(Arrival, OwnsTheWindowLeavesItInheritableAndSealsTheRest) {
  EXPECT_EQ(test::in_child([] {
              set_the_stage(5, 2);
              const Arrival arrival = arrive(Hop::launcher, false);
              const bool window =
                  arrival.window.first() == 3 && arrival.window.count() == 2 && !arrival.missing;
              const bool left = is_inheritable(3) && is_inheritable(4);
              const bool sealed = is_close_on_exec(5) && is_close_on_exec(6) && is_close_on_exec(7);
              return window && left && sealed && ::fcntl(8, F_GETFD) < 0 ? 0 : 1;
            }),
            0);
}

TEST(Arrival, FindsTheLowestAnnouncedNumberThatIsNotOpen) {
  EXPECT_EQ(test::in_child([] {
              set_the_stage(6, 6);
              ::close(5);
              const Arrival arrival = arrive(Hop::launcher, false);
              return arrival.missing == 5 && arrival.window.count() == 0 ? 0 : 1;
            }),
            0);
}

TEST(Arrival, AFullTableIsNotAMissingDescriptor) {
  EXPECT_EQ(test::in_child([] {
              set_the_stage(5, 5);
              const rlimit full{8, 8};
              if (::setrlimit(RLIMIT_NOFILE, &full) < 0) return 2;
              const Arrival arrival = arrive(Hop::launcher, false);
              return !arrival.missing && arrival.window.count() == 5 ? 0 : 1;
            }),
            0);
}

TEST(Arrival, OpensClosedStdioOnDevNullAndSaysWhichWasClosed) {
  for (unsigned holes = 1; holes < 8; ++holes) {
    EXPECT_EQ(test::in_child([holes] {
                set_the_stage(1, 1);
                struct stat null {};
                if (::stat("/dev/null", &null) < 0) return 2;
                for (int fd = 0; fd < 3; ++fd) {
                  if ((holes & (1U << fd)) != 0) ::close(fd);
                }
                const Arrival arrival = arrive(Hop::launcher, false);
                for (int fd = 0; fd < 3; ++fd) {
                  const bool was_hole = (holes & (1U << fd)) != 0;
                  if (arrival.stdio_open[static_cast<std::size_t>(fd)] == was_hole) return 3;
                  struct stat status {};
                  if (!is_inheritable(fd) || ::fstat(fd, &status) < 0) return 4;
                  if (was_hole && (status.st_dev != null.st_dev || status.st_ino != null.st_ino)) return 5;
                }
                return arrival.window.count() == 1 && ::fcntl(4, F_GETFD) < 0 ? 0 : 6;
              }),
              0)
        << "holes " << holes;
  }
}

TEST(Self, IsThisProcessAndNoOther) {
  const Self self = observe_self();
  EXPECT_EQ(self.pid, ::getpid());
  if (!self.pidfdid)
    GTEST_SKIP() << "this kernel's pidfds have no inode number of their own (before Linux 6.9)";
  EXPECT_EQ(observe_self().pidfdid, self.pidfdid);
  EXPECT_EQ(test::in_child([&] { return observe_self().pidfdid == self.pidfdid ? 1 : 0; }), 0);
}

}  // namespace
}  // namespace fdchain
