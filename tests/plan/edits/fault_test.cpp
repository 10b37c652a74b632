#include "fdchain/plan/edits/fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view of_conduct =
    "monitor:publish-first,monitor:swallow-failure,runtime-shim:swallow-failure,monitor:swallow-status,"
    "monitor:leak-per-signal,monitor:leave-orphans";

TEST(Faults, ThatNothingHappenedForHadNoOccasion) {
  EXPECT_THAT(untriggered(parse_faults(of_conduct), {.ran = true}),
              ElementsAre("monitor:swallow-failure had no occasion: the payload could be started",
                          "runtime-shim:swallow-failure had no occasion: the payload could be started",
                          "monitor:leak-per-signal had no occasion: no signal came for the payload",
                          "monitor:leave-orphans had no occasion: the payload left no process"));
  EXPECT_THAT(untriggered(parse_faults(of_conduct), {.signal = true, .leftovers = true}),
              ElementsAre("monitor:publish-first had no occasion: the payload never ran",
                          "monitor:swallow-status had no occasion: the payload never ran"));
}

TEST(Faults, OfWhatIsHandedOverNeedNoOccasion) {
  for (const Fault& fault : all_faults()) {
    if (fault.trigger != Trigger::hand_over) continue;
    const FaultRequest request{fault.hops[0], std::string(fault.name), fault.standard.to_vector()};
    EXPECT_THAT(untriggered(std::vector{request}, {}), IsEmpty()) << fault.name;
  }
}

TEST(FaultClass, OfEveryFaultIsExplained) {
  for (const Fault& fault : all_faults()) EXPECT_NE(class_meaning(fault.bug_class), "") << fault.name;
  EXPECT_EQ(class_meaning('a'), "");
  EXPECT_EQ(class_meaning('Z'), "");
}

}  // namespace
}  // namespace fdchain::test
