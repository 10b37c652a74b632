#include "monitor/native/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fdchain/model/failure.h"
#include "fdchain/model/monitor_options.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;

// Whoever has to find RUNTIME in a monitor's command line reads the table; the monitor reads its options.
TEST(MonitorOptions, AreThoseOfTheTable) {
  for (const MonitorOptionName& option : monitor_option_names) {
    if (option.name == "help" || option.name == "version") continue;  // answered, with nothing to be read
    std::vector<std::string> words{"--" + std::string(option.name)};
    const std::string value = option.name == "log" ? "none" : option.name == "log-level" ? "warn" : "5";
    if (takes_next_word(option, words.front())) words.push_back(value);
    words.emplace_back("runtime");
    words.emplace_back("--cid");
    const auto options = parse_monitor_options(words);
    ASSERT_TRUE(options) << option.name;
    EXPECT_THAT(options->runtime, ElementsAre("runtime", "--cid")) << option.name;
  }
}

TEST(MonitorOptions, RefusesANumberThatIsNone) {
  const auto why = [](const std::vector<std::string>& words) {
    try {
      (void)parse_monitor_options(words);
    } catch (const Failure& failure) {
      return std::string(failure.what());
    }
    return std::string();
  };
  EXPECT_EQ(why({"--runtime-sync-fd", "-1", "true"}), "--runtime-sync-fd -1: not from 0 to 2147483647");
  EXPECT_EQ(why({"--preserve-fds", "-1", "true"}), "--preserve-fds -1: not from 0 to 65536");
  EXPECT_EQ(why({"--timeout", "-1", "true"}), "--timeout -1: not from 0 to 315360000");
  EXPECT_EQ(why({"--runtime-sync-fd", "7", "true"}), "");
}

}  // namespace
}  // namespace fdchain::test
