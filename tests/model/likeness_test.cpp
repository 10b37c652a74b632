#include "fdchain/model/likeness.h"

#include <gmock/gmock.h>

#include <array>
#include <string>

namespace fdchain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::array<std::string_view, 5> names{"close", "clear-nonblock", "set-cloexec", "set-nonblock",
                                                "keep-sockets"};

TEST(NamesLike, AreThoseWithAMistakeOrTwo) {
  EXPECT_THAT(names_like("set-cloexc", names), ElementsAre("set-cloexec"));
  EXPECT_THAT(names_like("clsoe", names), ElementsAre("close"));
  EXPECT_THAT(names_like("keepsocket", names), ElementsAre("keep-sockets"));
}

TEST(NamesLike, AreThoseThatContainTheWordTheClosestFirst) {
  EXPECT_THAT(names_like("nonblock", names), ElementsAre("set-nonblock", "clear-nonblock"));
}

TEST(NamesLike, AreThreeAtMost) {
  constexpr std::array<std::string_view, 4> alike{"leak-a", "leak-b", "leak-c", "leak-d"};
  EXPECT_THAT(names_like("leak", alike), ElementsAre("leak-a", "leak-b", "leak-c"));
}

TEST(NamesLike, AreNoneOfAWordThatIsLikeNothing) {
  EXPECT_THAT(names_like("", names), IsEmpty());
  EXPECT_THAT(names_like("se", names), IsEmpty());
  EXPECT_THAT(names_like("forget-everything", names), IsEmpty());
  EXPECT_THAT(names_like(std::string(1'000'000, 'x'), names), IsEmpty());
}

}  // namespace
}  // namespace fdchain
