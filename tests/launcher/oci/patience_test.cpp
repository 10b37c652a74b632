// How long a run in the OCI dialect waits for others, and what it says then.

#include "launcher/oci/patience.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>

namespace fdchain {
namespace {

using std::chrono::seconds;

constexpr Deadline begin{std::chrono::hours(1)};
constexpr int no_timeout = 0;

std::string words(const Failure& failure) { return failure.what(); }

TEST(Patience, HasNoEndAsLongAsNobodyAsks) {
  Patience patience(no_timeout, begin);
  patience.saw_request(SIGUSR1, begin);
  patience.saw_end_of_payload(begin + seconds(1));
  EXPECT_FALSE(patience.is_limited());
  EXPECT_FALSE(patience.waits_for_payload());
  EXPECT_EQ(patience.asked(), 0);
  EXPECT_EQ(patience.for_container(), no_deadline);
  EXPECT_EQ(patience.for_end(), no_deadline);
}

TEST(Patience, ASignalThatAsksForTheEndGivesAContainerTenSeconds) {
  Patience patience(no_timeout, begin);
  patience.saw_request(SIGTERM, begin + seconds(5));
  patience.saw_request(SIGINT, begin + seconds(7));
  EXPECT_TRUE(patience.is_limited());
  EXPECT_EQ(patience.asked(), SIGTERM) << "the first one counts";
  EXPECT_EQ(patience.for_container(), begin + seconds(15));
  EXPECT_EQ(
      words(patience.no_container()),
      "signal 15 came, and 10 seconds later the container was not there: neither monitor nor runtime has "
      "said anything");
  EXPECT_EQ(patience.no_container().status(), 128 + SIGTERM);
}

TEST(Patience, TheTimeoutGivesAContainerNothingMore) {
  Patience patience(60, begin);
  EXPECT_TRUE(patience.is_limited());
  EXPECT_EQ(patience.for_container(), begin + seconds(60));
  EXPECT_EQ(words(patience.no_container()),
            "--timeout 60 is over, and the container was not there: neither monitor nor runtime has said "
            "anything");
  EXPECT_EQ(patience.no_container().status(), 124);
  patience.saw_request(SIGTERM, begin + seconds(55));
  EXPECT_EQ(patience.for_container(), begin + seconds(60));
  patience = Patience(60, begin);
  patience.saw_request(SIGTERM, begin + seconds(5));
  EXPECT_EQ(patience.for_container(), begin + seconds(15));
}

// It may have its reasons to go on; a monitor has none to say nothing of a payload that is gone.
TEST(Patience, AMonitorIsGivenUpTenSecondsAfterTheEndThatWasAskedFor) {
  Patience patience(no_timeout, begin);
  patience.saw_request(SIGINT, begin);
  EXPECT_TRUE(patience.waits_for_payload());
  EXPECT_EQ(patience.for_end(), no_deadline);
  patience.saw_end_of_payload(begin + seconds(30));
  patience.saw_end_of_payload(begin + seconds(31));
  EXPECT_FALSE(patience.waits_for_payload());
  EXPECT_EQ(patience.for_end(), begin + seconds(40));
  EXPECT_EQ(words(patience.no_end("monitor (pid 7)")),
            "signal 2 came, the payload has ended, and 10 seconds later monitor (pid 7) had not told the "
            "payload's end; killed");
  EXPECT_EQ(patience.no_end("monitor (pid 7)").status(), 128 + SIGINT);
}

TEST(Patience, WhoIsAskedAfterThePayloadsEndHasTenSecondsFromThenOn) {
  Patience patience(no_timeout, begin);
  patience.saw_end_of_payload(begin);
  patience.saw_request(SIGHUP, begin + seconds(8));
  EXPECT_EQ(patience.for_end(), begin + seconds(18));
}

TEST(Patience, TheTimeoutIsTheMonitorsToKeepAndHasTenSecondsMore) {
  Patience patience(60, begin);
  EXPECT_EQ(patience.for_end(), begin + seconds(70));
  EXPECT_EQ(
      words(patience.no_end("monitor (pid 7)")),
      "--timeout 60 is over, and 10 seconds later monitor (pid 7) had not told the payload's end; killed");
  EXPECT_EQ(patience.no_end("monitor (pid 7)").status(), 124);
  patience.saw_request(SIGTERM, begin + seconds(1));
  patience.saw_end_of_payload(begin + seconds(2));
  EXPECT_EQ(patience.for_end(), begin + seconds(12)) << "whichever is sooner";
}

}  // namespace
}  // namespace fdchain
