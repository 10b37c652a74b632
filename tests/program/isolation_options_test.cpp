#include "fdchain/program/isolation_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(IsolationOptions, ThePayloadIsOnTheHostUnlessAskedOtherwise) {
  EXPECT_EQ(parse_isolation({}), Isolation());
  EXPECT_THAT(to_words({}), IsEmpty());
}

TEST(IsolationOptions, TheWordsHandedOnAskForTheSame) {
  const Isolation all{true, true, true, "/srv/root"};
  EXPECT_THAT(to_words(all), ElementsAre("--network", "none", "--pid", "private", "--userns", "private",
                                         "--rootfs", "/srv/root"));
  EXPECT_EQ(parse_isolation({"none", "private", "private", "/srv/root"}), all);
}

TEST(IsolationOptions, ARelativeRootIsOfThisWorkingDirectory) {
  EXPECT_THAT(parse_isolation({"host", "host", "host", "root"}).rootfs, ::testing::MatchesRegex("/.*/root"));
}

TEST(IsolationOptions, OtherWordsAreRefused) {
  EXPECT_THROW(parse_isolation({"private", "host", "host", ""}), Failure);
  EXPECT_THROW(parse_isolation({"none", "none", "host", ""}), Failure);
  EXPECT_THROW(parse_isolation({"none", "host", "auto", ""}), Failure);
}

}  // namespace
}  // namespace fdchain
