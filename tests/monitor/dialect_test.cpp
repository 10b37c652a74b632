#include "monitor/dialect.h"

#include <gtest/gtest.h>

namespace fdchain::test {
namespace {

using Words = std::vector<std::string>;

TEST(MonitorDialect, AnOptionThatOnlyConmonHasMakesItConmons) {
  for (const Words& words : std::vector<Words>{{"--cid", "x"},
                                               {"--cid=x"},
                                               {"-c", "x"},
                                               {"-ti"},
                                               {"--api-version", "1", "stray", "-c", "x"},
                                               {"--log-level", "warn", "--timeout=5", "-c", "x"},
                                               {"--bogus", "stray", "--cid", "x"},
                                               {"--version"},
                                               {}})
    EXPECT_TRUE(is_conmon_command_line(words)) << ::testing::PrintToString(words);
}

TEST(MonitorDialect, WhatFollowsTheFirstWordThatIsNoOptionIsTheRuntimes) {
  for (const Words& words :
       std::vector<Words>{{"conmon", "--cid", "x"},
                          {"--", "conmon", "--cid", "x"},
                          {"--timeout", "5", "conmon", "-c", "x"},
                          {"--timeout=5", "--no-stdin", "--log", "passthrough", "conmon", "--cid"},
                          {"--exit-file", "--sync", "conmon", "--version"},
                          {"--bogus", "--", "conmon", "--cid", "x"},
                          {"--bogus"},
                          {"--help"}})
    EXPECT_FALSE(is_conmon_command_line(words)) << ::testing::PrintToString(words);
}

}  // namespace
}  // namespace fdchain::test
