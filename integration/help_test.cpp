// --help and reports, laid out for whoever reads them.

#include <sstream>

#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;
using ::testing::StartsWith;

struct Command {
  std::vector<std::string> words;
  std::string usage;  ///< how its help begins
};

const std::vector<Command> commands{
    {{"launcher"}, "Usage: launcher [run] [OPTIONS] [--] [PAYLOAD [ARG...]]\n"},
    {{"fdchain"}, "Usage: launcher [run] [OPTIONS] [--] [PAYLOAD [ARG...]]\n"},
    {{"launcher", "run"}, "Usage: launcher [run] [OPTIONS] [--] [PAYLOAD [ARG...]]\n"},
    {{"launcher", "dry-run"}, "Usage: launcher dry-run [OPTIONS] [--] [PAYLOAD [ARG...]]\n"},
    {{"launcher", "trace"}, "Usage: launcher trace [OPTIONS] [--] COMMAND [ARG...]\n"},
    {{"launcher", "diagnose"}, "Usage: launcher diagnose [OPTIONS] TRACE\n"},
    {{"launcher", "report"}, "Usage: launcher report [OPTIONS] TRACE\n"},
    {{"launcher", "faults"}, "Usage: launcher faults [--json]\n"},
    {{"launcher", "profiles"}, "Usage: launcher profiles [--json]\n"},
    {{"launcher", "generate"}, "Usage: launcher generate systemd NAME "},
    {{"monitor"}, "Usage: monitor [OPTIONS] [--] RUNTIME [ARG...]\n"},
    {{"runtime-shim"}, "Usage: runtime-shim [OPTIONS] [--] PAYLOAD [ARG...]\n"},
    {{"payload"}, "Usage: payload [echo|report|hold] [OPTIONS]\n"},
};

std::string help_of(const Command& command, const std::vector<std::string>& environment) {
  Start start;
  start.argv = {bin(command.words.front())};
  start.argv.insert(start.argv.end(), command.words.begin() + 1, command.words.end());
  start.argv.emplace_back("--help");
  start.environment = environment;
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  EXPECT_EQ(result.err, "");
  return result.out;
}

std::size_t widest(const std::string& text) {
  std::istringstream lines(text);
  std::size_t most = 0;
  for (std::string line; std::getline(lines, line);) most = std::max(most, line.size());
  return most;
}

class Help : public ChainTest {};

TEST_F(Help, OfEachCommandIsItsOwn) {
  for (const Command& command : commands) EXPECT_THAT(help_of(command, {}), StartsWith(command.usage));
}

TEST_F(Help, FitsEightyColumns) {
  for (const Command& command : commands) EXPECT_THAT(widest(help_of(command, {})), Le(80U)) << command.usage;
}

TEST_F(Help, UsesTheColumnsThereAre) {
  EXPECT_THAT(help_of(commands[0], {"COLUMNS=50"}),
              HasSubstr("\n      --check[=SEVERITY]\n        exit 123 when the judge"));
  EXPECT_THAT(widest(help_of(commands[0], {"COLUMNS=200"})), ::testing::AllOf(::testing::Gt(150U), Le(200U)));
}

TEST_F(Help, ExplainsItsWords) {
  const std::string help = help_of(commands[0], {});
  for (const std::string word : {"hop", "payload", "trace", "judge", "finding", "fault", "profile"})
    EXPECT_THAT(help.substr(help.find("\nWords:\n")), ContainsRegex("\n  " + word + " +[a-z]"));
}

class ReportPage : public ChainTest {
 protected:
  ReportPage() {
    Start start = launcher({"--trace", trace(), "--listen", "unix:" + file("socket"), "true"});
    EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(0));
  }

  [[nodiscard]] std::string trace() const { return file("trace"); }

  // What a command prints of a trace or of a run, on either stream.
  static std::string said(std::vector<std::string> words, const std::vector<std::string>& environment = {}) {
    Start start = launcher(std::move(words));
    start.environment = environment;
    const Result result = run(start);
    return result.out + result.err;
  }
};

TEST_F(ReportPage, HasColourWhereItIsAskedFor) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"report", trace()}, {"diagnose", trace()}, {"--report", "text", "true"}}) {
    const auto with = [&](const std::string& color) {
      std::vector<std::string> words = command;
      words.insert(words.begin() + (words.front().starts_with('-') ? 0 : 1), "--color=" + color);
      return words;
    };
    EXPECT_THAT(said(command), Not(HasSubstr("\x1b[")));
    EXPECT_THAT(said(command, {"FORCE_COLOR=1"}), HasSubstr("\x1b[1m"));
    EXPECT_THAT(said(command, {"CLICOLOR_FORCE=1", "NO_COLOR=1"}), Not(HasSubstr("\x1b[")));
    EXPECT_THAT(said(with("always"), {"NO_COLOR=1"}), HasSubstr("\x1b[1m"));
    EXPECT_THAT(said(with("never"), {"FORCE_COLOR=1"}), Not(HasSubstr("\x1b[")));
    EXPECT_EQ(said(with("sometimes")), "launcher: --color sometimes: not one of auto, always, never\n");
  }
}

TEST_F(ReportPage, InAFileHasColourOnlyWhenItIsAlwaysWanted) {
  const std::string report = "text:" + file("report");
  said({"--report", report, "true"}, {"FORCE_COLOR=1"});
  EXPECT_THAT(read_file(file("report")), Not(HasSubstr("\x1b[")));
  said({"--color", "always", "--report", report, "true"});
  EXPECT_THAT(read_file(file("report")), HasSubstr("\x1b[1m"));
}

TEST_F(ReportPage, IsAsWideAsItsReaderSays) {
  EXPECT_EQ(said({"report", trace()}), said({"report", trace()}, {"COLUMNS=100"}));
  EXPECT_THAT(widest(said({"report", trace()}, {"COLUMNS=50"})), Le(50U));
  EXPECT_THAT(said({"report", trace()}, {"COLUMNS=300"}), HasSubstr("UNIX-STREAM " + file("socket") + ' '));
}

}  // namespace
}  // namespace fdchain::test
