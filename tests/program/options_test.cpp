#include "fdchain/program/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

po::options_description options() {
  po::options_description own("Options");
  own.add_options()("name", po::value<std::string>(), "")("flag,f", "")("number,n", po::value<int>(), "");
  own.add_options()("wait", po::value<int>()->value_name("SECONDS"), "");
  own.add_options()("check", po::value<std::string>()->implicit_value("error", ""), "");
  return own.add(common_options());
}

CommandLine parse(std::vector<std::string> words) { return parse_command_line(std::move(words), options()); }

TEST(CommandLine, OptionsEndAtTheFirstWordThatIsNone) {
  const CommandLine line = parse({"--name", "echo", "-f", "daemon", "--name", "its own", "-x", "--"});
  EXPECT_EQ(line.options["name"].as<std::string>(), "echo");
  EXPECT_EQ(line.options.count("flag"), 1U);
  EXPECT_THAT(line.rest, ElementsAre("daemon", "--name", "its own", "-x", "--"));
}

TEST(CommandLine, TwoDashesEndThemToo) {
  EXPECT_THAT(parse({"--name=x", "--", "--name", "--", "y"}).rest, ElementsAre("--name", "--", "y"));
  EXPECT_THAT(parse({"--", "-"}).rest, ElementsAre("-"));
  EXPECT_THAT(parse({"--"}).rest, IsEmpty());
  EXPECT_THAT(parse({"-", "x"}).rest, ElementsAre("-", "x"));
  EXPECT_THAT(parse({"", "x"}).rest, ElementsAre("", "x"));
}

TEST(CommandLine, AValueIsAValueWhateverItLooksLike) {
  for (const std::string value :
       {"name", "number", "flag", "log-level", "--flag", "--", "-", "-f", "a=b", "=", "a b"}) {
    const CommandLine apart = parse({"--name", value, "daemon"});
    EXPECT_EQ(apart.options["name"].as<std::string>(), value);
    EXPECT_EQ(apart.options.count("flag"), 0U);
    EXPECT_THAT(apart.rest, ElementsAre("daemon"));
    EXPECT_EQ(parse({"--name=" + value}).options["name"].as<std::string>(), value);
  }
}

TEST(CommandLine, AValueThatMayBeLeftOutStandsBehindItsSign) {
  const CommandLine without = parse({"--check", "warning", "--check=note"});
  EXPECT_EQ(without.options["check"].as<std::string>(), "error");
  EXPECT_THAT(without.rest, ElementsAre("warning", "--check=note"));
  const CommandLine with = parse({"--check=warning", "-f", "x"});
  EXPECT_EQ(with.options["check"].as<std::string>(), "warning");
  EXPECT_THAT(with.rest, ElementsAre("x"));
  EXPECT_EQ(parse({"--check", "-f", "x"}).options["check"].as<std::string>(), "error");
}

TEST(CommandLine, ShortOptionsGoTogether) {
  for (const auto& words :
       {std::vector<std::string>{"-fn", "7", "x"}, {"-f", "-n", "7", "x"}, {"-fn7", "x"}}) {
    const CommandLine line = parse(words);
    EXPECT_EQ(line.options.count("flag"), 1U);
    EXPECT_EQ(line.options["number"].as<int>(), 7);
    EXPECT_THAT(line.rest, ElementsAre("x"));
  }
}

std::string complaint(std::vector<std::string> words) {
  try {
    parse(std::move(words));
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "accepted";
}

TEST(CommandLine, NamesTheWordThatIsWrong) {
  EXPECT_EQ(complaint({"--unknown"}), "unrecognised option '--unknown'; see --help");
  EXPECT_EQ(complaint({"--nam", "x"}), "unrecognised option '--nam'; see --help");
  EXPECT_EQ(complaint({"--name"}), "the required argument for option '--name' is missing; see --help");
  EXPECT_EQ(complaint({"--name", "", "daemon"}), "--name: its value is empty");
  EXPECT_EQ(complaint({"--name=", "daemon"}), "--name: its value is empty");
  EXPECT_EQ(complaint({"-x"}), "unrecognised option '-x'; see --help");
  EXPECT_EQ(complaint({"--number", "x"}), "--number x: not a whole number");
  EXPECT_EQ(complaint({"-fn", "1.5"}), "--number 1.5: not a whole number");
  EXPECT_EQ(complaint({"-n7x"}), "--number 7x: not a whole number");
  EXPECT_EQ(complaint({"--number=\x1b"}), R"(--number \x1b: not a whole number)");
  EXPECT_EQ(complaint({"--number", "99999999999"}), "--number 99999999999: too large a number");
  EXPECT_EQ(complaint({"--wait", "0.5"}), "--wait 0.5: not a whole number of seconds");
  EXPECT_EQ(complaint({"--log-level", "loud"}), "--log-level loud: not one of debug, info, warn, error, off");
}

TEST(Announcement, SaysNumbersWhereTheProtocolHasThem) {
  const auto refusal = [](const std::string& assignment) -> std::string {
    try {
      check_announcement("--config-env", assignment);
      return "";
    } catch (const Failure& failure) {
      return failure.what();
    }
  };
  for (const auto* const good : {"LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=a:b", "LISTEN_FDNAMES="})
    EXPECT_EQ(refusal(good), "");
  EXPECT_EQ(refusal("LISTEN_FDS=abc"), "--config-env LISTEN_FDS=abc: not a number");
  EXPECT_EQ(refusal("LISTEN_PID="), "--config-env LISTEN_PID=: not a number");
  EXPECT_EQ(refusal("LISTEN_FD=1"),
            "--config-env LISTEN_FD=1: not NAME=VALUE with LISTEN_PID, LISTEN_FDS or LISTEN_FDNAMES");
}

}  // namespace
}  // namespace fdchain
