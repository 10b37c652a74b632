// Each hop is killed with SIGKILL at each moment: the others notice, clean up, and the launcher says which
// hop died.

#include <csignal>
#include <filesystem>

#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

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

}  // namespace
}  // namespace fdchain::test
