// What the launcher passes on, and what it edits its plan by.

#include "launcher/shared/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdchain {
namespace {

using ::testing::ElementsAre;

Environment environment(std::vector<std::string> assignments) { return Environment(assignments); }

TEST(LauncherPlan, WhatCameIsPassedOnWithTheFaultsAndTheProfilesThatWereAskedFor) {
  const Environment arrived = environment({"A=b", "FDCHAIN_FAULT=monitor:close=3"});
  RunOptions options;
  EXPECT_EQ(environment_to_pass(options, arrived, Trace()).assignments(), arrived.assignments());
  options.faults = {parse_fault("monitor:set-cloexec=3")};
  options.profiles.choose("monitor=conmon");
  EXPECT_THAT(environment_to_pass(options, arrived, Trace()).assignments(),
              ElementsAre("A=b", "FDCHAIN_FAULT=monitor:set-cloexec=3", "FDCHAIN_PROFILE=monitor=conmon"));
  EXPECT_EQ(arrived.get("FDCHAIN_FAULT"), "monitor:close=3") << "and what came is as it came";
}

TEST(LauncherPlan, OptionsGoBeforeTheEnvironment) {
  const Environment arrived =
      environment({"FDCHAIN_FAULT=monitor:close=3", "FDCHAIN_PROFILE=monitor=conmon"});
  RunOptions options;
  AskedEdits asked = asked_edits(options, arrived);
  EXPECT_EQ(to_string(asked.faults), "monitor:close=3");
  EXPECT_EQ(to_string(asked.profiles), "monitor=conmon");
  options.faults = {parse_fault("launcher:set-cloexec=3")};
  options.profiles.choose("launcher=podman-4.8");
  asked = asked_edits(options, arrived);
  EXPECT_EQ(to_string(asked.faults), "launcher:set-cloexec=3");
  EXPECT_EQ(to_string(asked.profiles), "launcher=podman-4.8");
}

TEST(LauncherPlan, AllSocketsHaveANameAsSoonAsOneHas) {
  RunOptions options;
  ListenEnv inherited;
  inherited.count = 2;
  EXPECT_EQ(all_fdnames(options, inherited), std::nullopt);
  options.listen.emplace_back();
  EXPECT_EQ(all_fdnames(options, inherited), std::nullopt);
  options.listen.back().name = "web";
  EXPECT_EQ(all_fdnames(options, inherited), "unknown:unknown:web");
  inherited.fdnames = "a:b";
  EXPECT_EQ(all_fdnames(options, inherited), "a:b:web");
}

}  // namespace
}  // namespace fdchain
