#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "fdchain/model/failure.h"
#include "fdchain/model/hop.h"
#include "fdchain/model/log_target.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/wait_status.h"

namespace fdchain {
namespace {

TEST(Names, OfHopsAndMomentsAreReadBack) {
  for (const Hop hop : all_hops) EXPECT_EQ(parse_hop(to_string(hop)), hop);
  for (const Moment moment : all_moments) EXPECT_EQ(parse_moment(to_string(moment)), moment);
  EXPECT_EQ(parse_hop("runtime_shim"), std::nullopt);
}

TEST(WaitStatus, AnswersAsTheMacrosDo) {
  EXPECT_EQ(WaitStatus::for_exit_code(3).exit_status(), 3);
  EXPECT_EQ(WaitStatus::for_exit_code(3).describe(), "exited with status 3");
  EXPECT_EQ(WaitStatus::for_signal(SIGKILL).exit_status(), 137);
  EXPECT_EQ(WaitStatus::for_signal(SIGKILL).describe(), "was killed by signal 9 (Killed)");
  const pid_t child = ::fork();
  if (child == 0) ::_exit(42);
  int raw = 0;
  ::waitpid(child, &raw, 0);
  EXPECT_EQ(WaitStatus(raw), WaitStatus::for_exit_code(42));
}

TEST(ParseDecimal, TakesDigitsUpToTheMaximumAndNothingElse) {
  EXPECT_EQ(parse_decimal("65535", 65535), 65535U);
  for (const auto* const bad : {"", "65536", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"}) {
    EXPECT_EQ(parse_decimal(bad, 65535), std::nullopt) << bad;
  }
}

TEST(Printable, LetsNoControlCharacterThroughAndEnds) {
  EXPECT_EQ(printable("plain text"), "plain text");
  EXPECT_EQ(printable("\x1b]0;x\a\n\xff"), "\\x1b]0;x\\x07\\x0a\\xff");
  EXPECT_EQ(printable(std::string(1000, 'x'), 10), "xxxxxxxxxx...");
}

TEST(LogTarget, IsReadBack) {
  for (const std::string text : {"passthrough", "none", "k8s-file:/var/log/x:y"}) {
    EXPECT_EQ(to_string(parse_log_target(text)), text);
  }
  EXPECT_THROW(parse_log_target("k8s-file:"), Failure);
  EXPECT_THROW(parse_log_target("journald"), Failure);
}

}  // namespace
}  // namespace fdchain
