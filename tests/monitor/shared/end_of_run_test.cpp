// The end of a run is what its conduct lists, in that order.

#include "monitor/shared/end_of_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fdchain {
namespace {

using ::testing::ElementsAre;
using Done = std::vector<std::string>;

// Carries the steps out with every action but those that are left out, and tells what was done.
Done done_for(const std::vector<AtEnd>& steps, const std::vector<AtEnd>& left_out = {}) {
  Done done;
  EndOfRun end;
  const auto set = [&](EndOfRun::Action& action, AtEnd step) {
    if (std::ranges::find(left_out, step) == left_out.end())
      action = [&done, step] { done.push_back(to_string(step)); };
  };
  set(end.end_leftovers, AtEnd::end_leftovers);
  set(end.drain_log, AtEnd::drain_log);
  set(end.drop_sockets, AtEnd::drop_sockets);
  set(end.remove_names, AtEnd::remove_names);
  set(end.write_exit_file, AtEnd::write_exit_file);
  set(end.tell_status, AtEnd::tell_status);
  set(end.tell_failure, AtEnd::tell_failure);
  end.last_look = [&done] { done.emplace_back("look"); };
  end.carry_out(steps);
  return done;
}

TEST(EndOfRun, IsLookedAtOnceJustBeforeItsStatusCanBeSeen) {
  const Conduct conduct = ideal_conduct(Hop::monitor);
  EXPECT_THAT(done_for(conduct.after_exit),
              ElementsAre("end-leftovers", "drain-log", "remove-names", "drop-sockets", "look",
                          "write-exit-file", "tell-status"));
  EXPECT_THAT(done_for(conduct.after_failed_start), ElementsAre("end-leftovers", "drain-log", "remove-names",
                                                                "drop-sockets", "look", "tell-failure"));
}

TEST(EndOfRun, IsLookedAtEvenWhenItTellsNothing) {
  EXPECT_THAT(done_for({AtEnd::drain_log}), ElementsAre("drain-log", "look"));
  EXPECT_THAT(done_for({}), ElementsAre("look"));
}

TEST(EndOfRun, PassesOverWhatIsNoneOfADialects) {
  EXPECT_THAT(
      done_for({AtEnd::end_leftovers, AtEnd::tell_status, AtEnd::drop_sockets}, {AtEnd::end_leftovers}),
      ElementsAre("look", "tell-status", "drop-sockets"));
}

}  // namespace
}  // namespace fdchain
