// Each hop is killed with SIGKILL at each moment: the others notice, clean up, and the launcher says which
// hop died.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <sstream>

#include "fdchain/system/fd/sys.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr int by_sigkill = -1;

struct Death {
  std::string place;  // HOP:MOMENT
  int status;         // the launcher's
  std::string err;    // the launcher's last word, as a regular expression
};

void PrintTo(const Death& death, std::ostream* out) { *out << death.place; }

std::string label(std::string place) {
  for (char& character : place) {
    if (character == ':' || character == '-') character = '_';
  }
  return place;
}

class Killed : public ChainTest, public ::testing::WithParamInterface<Death> {};

TEST_P(Killed, IsNoticedAndNamed) {
  const bool at_the_end = GetParam().place.ends_with("after-exit");
  Start start = launcher(
      {"--listen", "unix:" + file("s"), "--listen", "tcp:127.0.0.1:8080", "--exit-file", file("exit")});
  const std::vector<std::string> payload =
      at_the_end ? std::vector<std::string>{"sh", "-c", "echo up; exec sleep 100"}
                 : std::vector<std::string>{"payload", "hold"};
  start.argv.insert(start.argv.end(), payload.begin(), payload.end());
  start.environment = {"FDCHAIN_STOP=" + GetParam().place};
  Program chain(start);
  if (at_the_end) {
    chain.wait_for_out("up");
    chain.signal(SIGTERM);
  }
  ::kill(stopped_process(chain), SIGKILL);
  const WaitStatus status = chain.finish().status;
  EXPECT_EQ(status, GetParam().status == by_sigkill ? WaitStatus::for_signal(SIGKILL)
                                                    : WaitStatus::for_exit_code(GetParam().status));
  expect_nobody_left();
  const std::string err = chain.err();
  EXPECT_THAT(err.substr(err.find('\n') + 1), MatchesRegex(GetParam().err));
  EXPECT_FALSE(std::filesystem::exists(file("s"))) << "the socket's path is still there";
}

INSTANTIATE_TEST_SUITE_P(
    All, Killed,
    ::testing::Values(
        Death{"launcher:arrival", by_sigkill, ""},
        Death{"launcher:departure", 125, "launcher: monitor \\(pid [0-9]+\\) died before the payload ran\n"},
        Death{"launcher:after-fork", by_sigkill, ""},  //
        Death{"launcher:running", by_sigkill,
              "monitor: warning: the launcher has gone; ending the payload\n"},
        Death{"launcher:after-exit", by_sigkill, ""},
        Death{"monitor:arrival", 125, "launcher: monitor \\(pid [0-9]+\\) died before the payload ran\n"},
        Death{"monitor:departure", 125,
              "launcher: monitor: runtime-shim \\(pid [0-9]+\\) was killed by signal 9 \\(Killed\\) before "
              "it became the payload\n"},
        Death{"monitor:after-fork", 125, "launcher: monitor \\(pid [0-9]+\\) died before the payload ran\n"},
        Death{"monitor:running", 125,
              "launcher: monitor \\(pid [0-9]+\\) died before it could tell the payload's exit status\n"},
        Death{"monitor:after-exit", 125,
              "launcher: monitor \\(pid [0-9]+\\) died before it could tell the payload's exit status\n"},
        Death{"runtime-shim:arrival", 125,
              "launcher: monitor: runtime-shim \\(pid [0-9]+\\) was killed by signal 9 \\(Killed\\) before "
              "it became the payload\n"},
        Death{"runtime-shim:departure", 125,
              "launcher: monitor: runtime-shim \\(pid [0-9]+\\) was killed by signal 9 \\(Killed\\) before "
              "it became the payload\n"},
        Death{"payload:arrival", 137,
              "launcher: payload \\(pid [0-9]+\\) was killed by signal 9 \\(Killed\\)\n"},
        Death{"payload:running", 137,
              "launcher: payload \\(pid [0-9]+\\) was killed by signal 9 \\(Killed\\)\n"}),
    [](const auto& param_info) { return label(param_info.param.place); });

class KilledListener : public ChainTest, public ::testing::WithParamInterface<const char*> {};

// As soon as anybody can know of the path.
TEST_P(KilledListener, LeavesNoPath) {
  for (int i = 0; i < 20; ++i) {
    int ends[2];
    check(::pipe2(ends, O_CLOEXEC), "pipe2");
    const OwnedFd report(ends[0]);
    OwnedFd theirs(ends[1]);
    Start start =
        launcher({"--listen", "unix:" + file("s") + GetParam(), "--listen-report", "fd:9", "sleep", "100"});
    start.pass = {{theirs.get(), 9}};
    Program chain(start);
    theirs.close();
    char byte = 0;
    ASSERT_EQ(::read(report.get(), &byte, 1), 1);
    chain.signal(SIGKILL);
    EXPECT_EQ(chain.finish().status, WaitStatus::for_signal(SIGKILL));
    expect_nobody_left();
    ASSERT_FALSE(std::filesystem::exists(file("s"))) << "run " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, KilledListener, ::testing::Values("", ",accept"),
                         [](const auto& param_info) { return *param_info.param == '\0' ? "Run" : "Accept"; });

// The kernel reaps the children of a process that was started so.
TEST_F(ChainTest, WhoIsStartedWithSigchldIgnoredFailsInOneLine) {
  Start start = launcher({"--report", "text", "--preserve-fds", "5", "true"});
  start.argv.insert(start.argv.begin(), {"env", "--ignore-signal=CHLD"});
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err, MatchesRegex("launcher: --preserve-fds 5: descriptor [0-9]+ is not open\n"
                                       "launcher: no report: nothing was handed over\n"));
}

class KilledMonitor : public ChainTest {
 protected:
  // A payload that does not end when asked to, has a child, and one in a session of its own.
  [[nodiscard]] std::string stubborn() const {
    return "trap '' TERM; sleep 100 & setsid sleep 100 & echo $PPID up; while :; do wait; done";
  }
  static void kill_monitor(Program& chain) { ::kill(std::stoi(chain.wait_for_out(" up\n")), SIGKILL); }
};

TEST_F(KilledMonitor, LeavesNobodyOfThePayloads) {
  Program chain(launcher({"--listen", "unix:" + file("s"), "sh", "-c", stubborn()}));
  kill_monitor(chain);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err, HasSubstr(") died before "));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "all are gone when the launcher's exit can be seen";
  EXPECT_FALSE(std::filesystem::exists(file("s")));
}

// A change of the user takes away the order to die with the monitor; prctl(2), PR_SET_PDEATHSIG.
TEST_F(KilledMonitor, LeavesNoPayloadThatHasChangedItsUser) {
  Program chain(launcher({"setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", stubborn()}));
  kill_monitor(chain);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST_F(KilledMonitor, DetachedTakesThePayloadWithIt) {
  const Detached chain(launcher({"sh", "-c", "echo $PPID > " + file("monitor") + "; exec sleep 100"}));
  std::string monitor;
  while (monitor.empty() || monitor.back() != '\n') monitor = read_file(file("monitor"));
  ::kill(std::stoi(monitor), SIGKILL);
  expect_nobody_left();
}

TEST_F(KilledMonitor, DetachedBeforeThePayloadRanIsNamedAndLeavesNothing) {
  for (const std::string place : {"launcher:departure", "monitor:arrival", "monitor:after-fork"}) {
    Start start = launcher({"--detach", "--listen", "unix:" + file("s"), "sleep", "100"});
    start.environment = {"FDCHAIN_STOP=" + place};
    Program chain(start);
    ::kill(stopped_process(chain), SIGKILL);
    const Result result = chain.finish();
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125)) << place;
    EXPECT_THAT(result.err, HasSubstr(") died before the payload ran\n")) << place;
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << place;
    EXPECT_FALSE(std::filesystem::exists(file("s"))) << place;
  }
}

TEST_F(KilledMonitor, ToBeEndsWithItsIntermediate) {
  Start start = launcher({"--listen", "unix:" + file("s"), "true"});
  start.environment = {"FDCHAIN_STOP=launcher:departure"};
  Program chain(start);
  const pid_t to_be_monitor = stopped_process(chain);
  const std::string launcher_pid = std::to_string(chain.pid());
  std::istringstream children(read_file("/proc/" + launcher_pid + "/task/" + launcher_pid + "/children"));
  pid_t intermediate = 0;
  while (children >> intermediate) {  // the last: before it there is who takes care of the path
  }
  ASSERT_NE(intermediate, to_be_monitor);
  ::kill(intermediate, SIGKILL);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err, HasSubstr("launcher: the intermediate of the double fork was killed by signal 9"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_FALSE(std::filesystem::exists(file("s")));
}

}  // namespace
}  // namespace fdchain::test
