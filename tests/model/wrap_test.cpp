#include "fdchain/model/wrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdchain {
namespace {

using ::testing::ElementsAre;

TEST(Wrap, FillsEachLine) {
  EXPECT_THAT(wrap("one two three four", 9), ElementsAre("one two", "three", "four"));
  EXPECT_THAT(wrap("one two three four", 100), ElementsAre("one two three four"));
}

TEST(Wrap, OfNothingIsOneEmptyLine) { EXPECT_THAT(wrap("", 10), ElementsAre("")); }

TEST(Wrap, BreaksAWordThatNoLineHasRoomFor) {
  EXPECT_THAT(wrap("a abcdefghij b", 4), ElementsAre("a", "abcd", "efgh", "ij b"));
}

TEST(Wrap, BreaksNoCharacter) {
  EXPECT_THAT(wrap("a\u2026\u2026b", 3), ElementsAre("a", "\u2026", "\u2026", "b"));
}

}  // namespace
}  // namespace fdchain
