// A word that is no command, and may have been meant for one.

#include "launcher/shared/commands.h"

#include <gtest/gtest.h>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

TEST(Commands, AreThese) {
  for (const auto* const command : {"run", "dry-run", "trace", "diagnose", "report", "faults", "profiles",
                                    "generate", "clean-up-container"})
    EXPECT_TRUE(is_command(command)) << command;
  EXPECT_FALSE(is_command("payload"));
  EXPECT_FALSE(is_command(""));
}

TEST(Commands, AreGuessedFromTheirBeginningAndFromMistypedLetters) {
  EXPECT_EQ(command_like("diag"), "diagnose");
  EXPECT_EQ(command_like("dryrun"), "dry-run");
  EXPECT_EQ(command_like("fault"), "faults");
  EXPECT_EQ(command_like("ru"), "run");
  EXPECT_EQ(command_like("tracee"), "trace");
  EXPECT_EQ(command_like("mydaemon"), "");
  EXPECT_EQ(command_like("clean-up-containe"), "") << "not for people";
}

std::string refusal_of(const std::string& word) try {
  check_first_word({word}, Environment(std::vector<std::string>{"PATH=/nonexistent"}));
  return "";
} catch (const Failure& failure) {
  EXPECT_EQ(failure.status(), 127);
  return failure.what();
}

TEST(Commands, AWordThatIsNoProgramIsRefusedWithAGuess) {
  EXPECT_EQ(refusal_of("diagnos"), "diagnos: not found in PATH; did you mean `launcher diagnose`?");
  EXPECT_EQ(refusal_of("mydaemon"),
            "mydaemon: not found in PATH, and none of the commands run, dry-run, trace, diagnose, report, "
            "faults, profiles, generate");
  EXPECT_EQ(refusal_of("payload"), "");
  EXPECT_EQ(refusal_of("--listen"), "");
  EXPECT_EQ(refusal_of("./mydaemon"), "");
}

}  // namespace
}  // namespace fdchain
