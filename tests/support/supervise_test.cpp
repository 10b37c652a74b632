// Who supervises leaves nothing behind, however it is interrupted.
#include "tests/support/supervise.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/sys.h"
#include "tests/support/child.h"

namespace fdchain::test {
namespace {

/// What a body tells of itself before it stands still.
struct Told {
  pid_t orphan;
  std::array<char, 64> directory;
};

// Leaves a grandchild in a session of its own, which no signal for a group would reach, and a file.
int body_that_leaves_things(int out, const std::string& directory) {
  Told told{};
  directory.copy(told.directory.data(), told.directory.size() - 1);
  std::ofstream(directory + "/file") << "left";
  const pid_t child = ::fork();
  if (child == 0) {
    ::setsid();
    told.orphan = ::fork();
    if (told.orphan == 0) ::pause();
    (void)!::write(out, &told, sizeof told);
    ::_exit(0);
  }
  ::pause();
  return 0;
}

class Supervise : public ::testing::TestWithParam<int> {};

TEST_P(Supervise, LeavesNothingWhenItIsInterrupted) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  const OwnedFd in(ends[0]);
  OwnedFd out(ends[1]);
  const pid_t supervisor = ::fork();
  if (supervisor == 0)
    ::_exit(supervise(
        "test", [&](const std::string& directory) { return body_that_leaves_things(out.get(), directory); }));
  out.close();
  Told told{};
  ASSERT_EQ(::read(in.get(), &told, sizeof told), static_cast<ssize_t>(sizeof told));
  const OwnedFd orphan(check(open_pidfd(told.orphan), "pidfd_open"));
  EXPECT_TRUE(std::filesystem::exists(told.directory.data()));
  check(::kill(supervisor, GetParam()), "kill");
  int status = 0;
  ::waitpid(supervisor, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 128 + GetParam());
  pollfd ended{orphan.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 0), 1) << "the orphan still runs";
  EXPECT_FALSE(std::filesystem::exists(told.directory.data()));
}

INSTANTIATE_TEST_SUITE_P(By, Supervise, ::testing::Values(SIGINT, SIGQUIT, SIGTERM, SIGHUP),
                         [](const auto& param_info) {
                           return std::string(::sigabbrev_np(param_info.param));
                         });

TEST(Supervised, ABodysStatusIsTheSupervisorsAndItsDirectoryIsGone) {
  const int status = in_child([] {
    const int seven = supervise(
        "test", [&](const std::string& directory) { return std::filesystem::is_empty(directory) ? 7 : 8; });
    const int failed = supervise("test", [](const std::string&) -> int {
      ::raise(SIGKILL);
      return 0;
    });
    return seven == 7 && failed == 128 + SIGKILL ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace fdchain::test
