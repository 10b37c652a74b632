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
  own.add_options()("name", po::value<std::string>(), "")("flag,f", "")("number", po::value<int>(), "");
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
  EXPECT_EQ(complaint({"--number", "x"}), "the argument ('x') for option '--number' is invalid; see --help");
  EXPECT_EQ(complaint({"--log-level", "loud"}), "--log-level loud: not one of debug, info, warn, error, off");
}

}  // namespace
}  // namespace fdchain
