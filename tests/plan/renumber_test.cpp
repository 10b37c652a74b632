#include "fdchain/plan/renumber.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>

namespace fdchain {

void PrintTo(const Step& step, std::ostream* out) { *out << to_string(step); }

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum Step::Kind;

constexpr int scratch = 100;

Step lift_step(int source, int target) { return Step::lift(source, target); }
Step place_step(int source, int target) { return Step::place(source, target); }
Step keep_step(int fd) { return Step::keep(fd); }

std::vector<Step> plan(const std::vector<Move>& moves) { return plan_renumber(moves, scratch); }

TEST(PlanRenumber, WhatIsInPlaceAndInheritableCostsNothing) {
  EXPECT_THAT(plan({{3, 3, true}, {4, 4, true}}), IsEmpty());
}

TEST(PlanRenumber, WhatIsInPlaceOtherwiseOnlyLosesCloseOnExec) {
  EXPECT_THAT(plan({{3, 3, false}, {4, 4, false}}), ElementsAre(keep_step(3), keep_step(4)));
}

TEST(PlanRenumber, AShiftIsMadeInTheOrderThatOverwritesNothing) {
  EXPECT_THAT(plan({{3, 4}, {4, 5}, {5, 6}}),
              ElementsAre(place_step(5, 6), place_step(4, 5), place_step(3, 4)));
}

TEST(PlanRenumber, ASwapLiftsOne) {
  EXPECT_THAT(plan({{4, 3}, {3, 4}}), ElementsAre(lift_step(3, 100), place_step(4, 3), place_step(100, 4)));
}

TEST(PlanRenumber, TwoCyclesShareOneScratchNumber) {
  EXPECT_THAT(plan({{4, 3}, {3, 4}, {6, 5}, {5, 6}}),
              ElementsAre(lift_step(3, 100), place_step(4, 3), place_step(100, 4),  //
                          lift_step(5, 100), place_step(6, 5), place_step(100, 6)));
}

TEST(PlanRenumber, OneSourceMayHaveSeveralTargets) {
  EXPECT_THAT(plan({{3, 3, false}, {3, 0}, {3, 1}}),
              ElementsAre(keep_step(3), place_step(3, 0), place_step(3, 1)));
}

/// A descriptor table as the plan sees it: which object is at a number, and whether it survives exec.
struct ToyTable {
  struct Entry {
    int object;
    bool inheritable;
  };
  std::map<int, Entry> entries;

  void perform(const Step& step) {
    switch (step.kind) {
      case lift: entries[step.target] = {entries.at(step.source).object, false}; break;
      case place: entries[step.target] = {entries.at(step.source).object, true}; break;
      case keep: entries.at(step.source).inheritable = true; break;
      default: FAIL() << "not a step of renumbering: " << to_string(step);
    }
  }
};

// Runs the plan on a table in which every number holds an object of its own, and looks at every target.
bool ends_right(const std::vector<Move>& moves, int highest) {
  ToyTable table;
  for (int number = 0; number <= highest; ++number) table.entries[number] = {number, false};
  for (const Move& move : moves) table.entries[move.source].inheritable |= move.inheritable;
  for (const Step& step : plan(moves)) table.perform(step);
  return std::ranges::all_of(moves, [&](const Move& move) {
    const auto& entry = table.entries.at(move.target);
    return entry.object == move.source && entry.inheritable;
  });
}

// Calls `visit` with every list of `length` numbers from 0 to `highest`.
template <typename Visit>
void for_each_list(int length, int highest, Visit visit) {
  std::vector<int> list(static_cast<std::size_t>(length), 0);
  while (true) {
    visit(list);
    auto digit = list.rbegin();
    while (digit != list.rend() && *digit == highest) *digit++ = 0;
    if (digit == list.rend()) return;
    ++*digit;
  }
}

TEST(PlanRenumber, IsRightForEveryWindowOfUpToFiveSocketsOutOfNineNumbers) {
  int lists = 0;
  for (int length = 1; length <= 5; ++length) {
    for_each_list(length, 8, [&](const std::vector<int>& sources) {
      std::vector<Move> moves;
      for (std::size_t i = 0; i < sources.size(); ++i) moves.push_back({sources[i], 3 + static_cast<int>(i)});
      ASSERT_TRUE(ends_right(moves, 8)) << ::testing::PrintToString(sources);
      ++lists;
    });
  }
  EXPECT_EQ(lists, 9 + 81 + 729 + 6561 + 59049);
}

TEST(PlanRenumber, IsRightForEveryMappingOfUpToFourSourcesToAnyTargetsBelowSix) {
  int mappings = 0;
  for (int length = 1; length <= 4; ++length) {
    for_each_list(length, 5, [&](const std::vector<int>& targets) {
      if (std::set<int>(targets.begin(), targets.end()).size() != targets.size()) return;
      for_each_list(length, 5, [&](const std::vector<int>& sources) {
        std::vector<Move> moves;
        for (std::size_t i = 0; i < sources.size(); ++i) moves.push_back({sources[i], targets[i]});
        ASSERT_TRUE(ends_right(moves, 5))
            << ::testing::PrintToString(sources) << " to " << ::testing::PrintToString(targets);
        ++mappings;
      });
    });
  }
  EXPECT_EQ(mappings, 6 * 6 + 30 * 36 + 120 * 216 + 360 * 1296);
}

TEST(PlanRenumber, IsRightAndUsesOneDupAMoveAndOneACycleForRandomPermutations) {
  std::mt19937 random(20250101);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> sources(60);
    std::iota(sources.begin(), sources.end(), 3);
    std::ranges::shuffle(sources, random);
    std::vector<Move> moves;
    for (std::size_t i = 0; i < sources.size(); ++i) moves.push_back({sources[i], 3 + static_cast<int>(i)});
    ASSERT_TRUE(ends_right(moves, 63));
    const auto steps = plan(moves);
    const auto placed = std::ranges::count(steps, place, &Step::kind);
    const auto kept = std::ranges::count(steps, keep, &Step::kind);
    EXPECT_EQ(placed + kept, 60);
  }
}

}  // namespace
}  // namespace fdchain
