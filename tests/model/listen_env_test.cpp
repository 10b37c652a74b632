#include "fdchain/model/listen_env.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace fdchain {

void PrintTo(const ListenEnv& env, std::ostream* out) {
  *out << env.count << " sockets, names " << env.fdnames.value_or("(none)") << ", pidfdid "
       << env.has_pidfdid;
}

void PrintTo(const ListenProblem& problem, std::ostream* out) {
  *out << problem.result << ' ' << problem.text;
}

namespace {

using Kind = ListenProblem::Kind;
using Parsed = std::variant<ListenEnv, ListenProblem>;

constexpr Self self{4711, 99};

Parsed parse(std::vector<std::string> assignments) {
  return parse_listen_env(Environment(std::move(assignments)), self);
}

TEST(ParseListenEnv, CountsAndNamesWhatIsForUs) {
  EXPECT_EQ(parse({"LISTEN_PID=4711", "LISTEN_FDS=2"}), Parsed(ListenEnv{2, std::nullopt, false}));
  EXPECT_EQ(parse({"LISTEN_PID=4711", "LISTEN_FDS=2", "LISTEN_FDNAMES=web:"}),
            Parsed(ListenEnv{2, "web:", false}));
  EXPECT_EQ(parse({"LISTEN_PID=4711", "LISTEN_FDS=1", "LISTEN_PIDFDID=99"}),
            Parsed(ListenEnv{1, std::nullopt, true}));
}

TEST(ParseListenEnv, APidfdidThatTheKernelCannotTellIsNotHeldAgainstAnybody) {
  const Environment environment({"LISTEN_PID=4711", "LISTEN_FDS=1", "LISTEN_PIDFDID=12345"});
  EXPECT_EQ(parse_listen_env(environment, Self{4711, std::nullopt}),
            Parsed(ListenEnv{1, std::nullopt, true}));
}

TEST(ParseListenEnv, NothingAnnouncedIsNoProblemWithAText) {
  EXPECT_EQ(parse({"PATH=/bin"}), Parsed(ListenProblem{}));
}

struct BadEnv {
  std::string label;
  std::vector<std::string> assignments;
  ListenProblem problem;
};

void PrintTo(const BadEnv& bad, std::ostream* out) { *out << bad.label; }

class ParseListenEnvRefuses : public ::testing::TestWithParam<BadEnv> {};

TEST_P(ParseListenEnvRefuses, WithAReason) {
  EXPECT_EQ(parse(GetParam().assignments), Parsed(GetParam().problem));
}

const std::string no_count = ": not a count of descriptors";

INSTANTIATE_TEST_SUITE_P(
    All, ParseListenEnvRefuses,
    ::testing::Values(
        BadEnv{"no_pid", {"LISTEN_FDS=1"}, {Kind::ignored, 0, 0, "LISTEN_FDS=1: set, but LISTEN_PID is not"}},
        BadEnv{"no_count",
               {"LISTEN_PID=4711"},
               {Kind::ignored, 0, 0, "LISTEN_PID=4711: set, but LISTEN_FDS is not"}},
        BadEnv{"empty_pid",
               {"LISTEN_PID=", "LISTEN_FDS=1"},
               {Kind::ignored, -EINVAL, 0, "LISTEN_PID=: not a process number"}},
        BadEnv{"garbage_pid",
               {"LISTEN_PID=me", "LISTEN_FDS=1"},
               {Kind::ignored, -EINVAL, 0, "LISTEN_PID=me: not a process number"}},
        BadEnv{"zero_pid",
               {"LISTEN_PID=0", "LISTEN_FDS=1"},
               {Kind::ignored, -ERANGE, 0, "LISTEN_PID=0: not a process number"}},
        BadEnv{"other_pid",
               {"LISTEN_PID=1", "LISTEN_FDS=1"},
               {Kind::ignored, 0, 0, "LISTEN_PID=1: names another process than this one, 4711"}},
        BadEnv{"other_pidfdid",
               {"LISTEN_PID=4711", "LISTEN_PIDFDID=98", "LISTEN_FDS=1"},
               {Kind::ignored, 0, 0, "LISTEN_PIDFDID=98: names another process than this one, 99"}},
        BadEnv{"garbage_pidfdid",
               {"LISTEN_PID=4711", "LISTEN_PIDFDID=x", "LISTEN_FDS=1"},
               {Kind::ignored, -EINVAL, 0, "LISTEN_PIDFDID=x: not the number of a pidfd"}},
        BadEnv{"empty_count",
               {"LISTEN_PID=4711", "LISTEN_FDS="},
               {Kind::ignored, -EINVAL, 0, "LISTEN_FDS=: no sockets are counted"}},
        BadEnv{"negative_count",
               {"LISTEN_PID=4711", "LISTEN_FDS=-1"},
               {Kind::malformed, -EINVAL, 0, "LISTEN_FDS=-1" + no_count}},
        BadEnv{"trailing_text",
               {"LISTEN_PID=4711", "LISTEN_FDS=2x"},
               {Kind::malformed, -EINVAL, 0, "LISTEN_FDS=2x" + no_count}},
        BadEnv{"zero_count",
               {"LISTEN_PID=4711", "LISTEN_FDS=0"},
               {Kind::ignored, -EINVAL, 0, "LISTEN_FDS=0: no sockets are counted"}},
        BadEnv{"huge_count",
               {"LISTEN_PID=4711", "LISTEN_FDS=99999999999"},
               {Kind::malformed, -ERANGE, 0, "LISTEN_FDS=99999999999" + no_count}},
        BadEnv{"overflowing_count",
               {"LISTEN_PID=4711", "LISTEN_FDS=2147483647"},
               {Kind::malformed, -EINVAL, 0, "LISTEN_FDS=2147483647" + no_count}},
        BadEnv{"control_characters",
               {"LISTEN_PID=4711", "LISTEN_FDS=\x1b[2J"},
               {Kind::malformed, -EINVAL, 0, "LISTEN_FDS=\\x1b[2J" + no_count}},
        BadEnv{"few_names",
               {"LISTEN_PID=4711", "LISTEN_FDS=2", "LISTEN_FDNAMES=web"},
               {Kind::names_count, -EINVAL, 2, "LISTEN_FDNAMES=web: 1 name for 2 sockets"}},
        BadEnv{"many_names",
               {"LISTEN_PID=4711", "LISTEN_FDS=1", "LISTEN_FDNAMES=a::b"},
               {Kind::names_count, -EINVAL, 1, "LISTEN_FDNAMES=a::b: 3 names for 1 socket"}}),
    [](const auto& param_info) { return param_info.param.label; });

TEST(FdNames, SplitAndJoinKeepEmptyNames) {
  EXPECT_EQ(split_fdnames("a::b"), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split_fdnames(""), std::vector<std::string>{""});
  for (const std::string text : {"", ":", "a", "a:", ":a", "a::b"})
    EXPECT_EQ(join_fdnames(split_fdnames(text)), text);
}

TEST(Announce, SetsCountAndNamesAndLeavesNoPidBehind) {
  Environment environment({"LISTEN_PID=1", "A=b", "LISTEN_FDS=7", "LISTEN_PIDFDID=3", "LISTEN_FDNAMES=x"});
  announce(environment, 2, "web:admin");
  EXPECT_EQ(environment.assignments(),
            (std::vector<std::string>{"A=b", "LISTEN_FDS=2", "LISTEN_FDNAMES=web:admin"}));
  announce(environment, 0, std::nullopt);
  EXPECT_EQ(environment.assignments(), (std::vector<std::string>{"A=b"}));
}

}  // namespace
}  // namespace fdchain
