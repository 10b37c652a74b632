// What profiles make of a plan, and how they are chosen.

#include "fdchain/plan/edits/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/plan/roles.h"

namespace fdchain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Profile& profile(Hop hop, const std::string& name) {
  ProfileChoice choice;
  choice.choose(std::string(to_string(hop)) + '=' + name);
  return *choice.of(hop);
}

std::string refusal(const std::string& text) {
  try {
    ProfileChoice().choose(text);
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "none";
}

// What the plan announces, `LISTEN_PID=?` for one that the child fills in.
std::vector<std::string> announced(const HandOver& next) {
  std::vector<std::string> texts;
  for (const auto name : {listen_fds_name, listen_fdnames_name, listen_pid_name}) {
    const auto value = next.environment.get(name);
    if (name == listen_pid_name && next.name_pid)
      texts.emplace_back("LISTEN_PID=?");
    else if (value)
      texts.push_back(std::string(name) + '=' + std::string(*value));
  }
  return texts;
}

// Everything that crosses the exec, by number.
std::vector<std::string> crossing(const HandOver& next) {
  std::vector<std::string> texts;
  for (const FdPass& range : next.passed) {
    for (int i = 0; i < range.count; ++i) texts.push_back(std::to_string(range.target + i));
  }
  for (const PlannedStep& planned : next.extra) texts.push_back(to_string(planned.step));
  return texts;
}

Environment activated(const std::string& pid) {
  return Environment({"LISTEN_FDS=2", "LISTEN_FDNAMES=a:b", "LISTEN_PID=" + pid, "HOME=/root", "SECRET=1"});
}

// A launcher that was given two sockets, and a monitor's command.
HopPlan launcher_plan(const Environment& environment) {
  MonitorStart start;
  start.received = {environment, 2, "a:b", false, 0};
  start.fdnames = "a:b";
  start.command = {"monitor", "--log", "--", "--no-stdin", "--", "runtime", "--workdir", "/", "--", "prog"};
  start.sync_source = 8;
  start.start_source = 10;
  return {hand_over_to_monitor(start), ideal_conduct(Hop::launcher)};
}

HopContext launcher_context(const Environment& environment) {
  HopContext context{environment, 50, 2, 0, {9}};
  context.kept_end = 5;
  return context;
}

HopPlan payload_plan(const Environment& environment, int sockets) {
  PayloadStart start;
  start.received = {environment, sockets, std::nullopt, false, 0};
  start.program = "/p";
  start.command = {"p"};
  return {hand_over_to_payload(start), ideal_conduct(Hop::runtime_shim)};
}

TEST(ProfileChoice, OfANameIsThatOfTheWholeChain) {
  ProfileChoice choice;
  EXPECT_TRUE(choice.is_ideal());
  choice.choose("podman-4.8");
  EXPECT_EQ(to_string(choice), "launcher=podman-4.8,monitor=conmon,runtime-shim=crun");
  choice.choose("runtime-shim=runc");
  choice.choose("monitor=ideal");
  EXPECT_EQ(to_string(choice), "launcher=podman-4.8,runtime-shim=runc");
  EXPECT_EQ(parse_profiles(to_string(choice)), choice);
  choice.choose("ideal");
  EXPECT_EQ(choice, ProfileChoice());
}

TEST(ProfileChoice, RefusesWhatIsThereNot) {
  EXPECT_THAT(refusal("podman"),
              HasSubstr("podman: unknown profile; there are podman-4.3, podman-4.8, conmon"));
  EXPECT_THAT(refusal("payload=crun"), HasSubstr("HOP is one of launcher, monitor, runtime-shim"));
  EXPECT_THAT(refusal("monitor=crun"), HasSubstr("not one of conmon, ideal"));
  EXPECT_THAT(refusal("monitor="), HasSubstr("not one of conmon, ideal"));
  EXPECT_THAT(refusal(""), HasSubstr("unknown profile"));
}

TEST(ProfileChoice, IsThatOfEachNameThatIsListed) {
  for (const ChainProfile& chain : chain_profiles()) {
    ProfileChoice choice;
    choice.choose(chain.name);
    EXPECT_EQ(choice.is_ideal(), chain.name == ideal_profile) << chain.name;
  }
}

TEST(PodmanProfile, TellsTheMonitorByACountAlone) {
  const Environment arrived = activated("50");
  HopPlan plan = launcher_plan(arrived);
  profile(Hop::launcher, "podman-4.3").edit(plan, launcher_context(arrived));
  EXPECT_THAT(announced(plan.next), IsEmpty());
  EXPECT_FALSE(plan.next.environment.get("SECRET"));
  EXPECT_EQ(plan.next.environment.get("HOME"), "/root");
  EXPECT_THAT(plan.next.argv, ElementsAre("monitor", "--preserve-fds", "2", "--log", "--", "--no-stdin", "--",
                                          "runtime", "--preserve-fds", "2", "--config-env", "LISTEN_FDS=2",
                                          "--config-env", "LISTEN_PID=1", "--config-env",
                                          "LISTEN_FDNAMES=a:b", "--workdir", "/", "--", "prog"));
  EXPECT_THAT(crossing(plan.next), ElementsAre("3", "4", "5", "6", "9"));
}

TEST(PodmanProfile, FindsTheRuntimeBehindFlagsAndBothFormsOfAValue) {
  const Environment arrived = activated("50");
  HopPlan plan = launcher_plan(arrived);
  plan.next.argv = {"monitor", "--replace-listen-pid", "--log=none", "--no-stdin", "--", "runtime", "--",
                    "prog"};
  profile(Hop::launcher, "podman-4.3").edit(plan, launcher_context(arrived));
  EXPECT_THAT(plan.next.argv, ElementsAre("monitor", "--preserve-fds", "2", "--replace-listen-pid",
                                          "--log=none", "--no-stdin", "--", "runtime", "--preserve-fds", "2",
                                          "--config-env", "LISTEN_FDS=2", "--config-env", "LISTEN_PID=1",
                                          "--config-env", "LISTEN_FDNAMES=a:b", "--", "prog"));
}

TEST(PodmanProfile, OfLaterVersionsPassesTheEnvironmentOn) {
  const Environment arrived = activated("49");
  HopPlan plan = launcher_plan(arrived);
  profile(Hop::launcher, "podman-4.8").edit(plan, launcher_context(arrived));
  EXPECT_THAT(announced(plan.next), ElementsAre("LISTEN_FDS=2", "LISTEN_FDNAMES=a:b", "LISTEN_PID=49"));
  EXPECT_EQ(plan.next.environment.get("SECRET"), "1");
}

TEST(PodmanProfile, ReadsListenFdsWhateverListenPidSays) {
  const Profile& podman = profile(Hop::launcher, "podman-4.3");
  EXPECT_EQ(podman.keep({activated("1"), false, 0, 0}), (FdRange{2, 0}));
  EXPECT_EQ(podman.keep({activated("1"), false, 0, 1}), (FdRange{1, 0})) << "--preserve-fds instead";
  EXPECT_EQ(podman.keep({Environment(), false, 0, 0}), (FdRange{0, 0}));
  EXPECT_THROW(podman.keep({Environment({"LISTEN_FDS=abc"}), false, 0, 0}), Failure);
}

TEST(PodmanProfile, PassesItsOwnWhereNothingWasOpen) {
  const Environment arrived({"LISTEN_FDS=3", "LISTEN_PID=50"});
  HopPlan plan = launcher_plan(arrived);
  HopContext context = launcher_context(arrived);
  context.free = {5};
  context.strays.clear();
  profile(Hop::launcher, "podman-4.3").edit(plan, context);
  // In the place of the test's sync pipe, which a launcher that knows of it puts behind.
  EXPECT_THAT(plan.next.argv, ::testing::Contains("LISTEN_FDS=3"));
  EXPECT_THAT(plan.next.argv, ::testing::Contains("3").Times(2));
}

TEST(ConmonProfile, LeavesEverythingAsItCame) {
  const Environment arrived({"LISTEN_FDS=2", "LISTEN_PID=50", "_OCI_SYNCPIPE=5"});
  RuntimeStart start;
  start.received = {arrived, 2, std::nullopt, false, 0};
  start.program = "/r";
  HopPlan plan{hand_over_to_runtime(start), ideal_conduct(Hop::monitor)};
  HopContext context{arrived, 60, 2, 0, {9}};
  profile(Hop::monitor, "conmon").edit(plan, context);
  EXPECT_THAT(announced(plan.next), ElementsAre("LISTEN_FDS=2", "LISTEN_PID=50"));
  EXPECT_EQ(plan.next.environment.get("_OCI_SYNCPIPE"), "5");
  EXPECT_THAT(crossing(plan.next), ElementsAre("3", "4", "9", "ignore-signal 13"));
  context.names_me = true;
  profile(Hop::monitor, "conmon").edit(plan, context);
  EXPECT_THAT(announced(plan.next), ElementsAre("LISTEN_FDS=2", "LISTEN_PID=?"));
}

TEST(CrunProfile, AddsUpAndAnnouncesThePidAlone) {
  const Profile& crun = profile(Hop::runtime_shim, "crun");
  const Environment arrived({"LISTEN_FDS=2x", "LISTEN_PID=7", "LISTEN_FDNAMES=a:b"});
  EXPECT_EQ(crun.keep({arrived, false, 0, 2}), (FdRange{4, 0}));
  HopPlan plan = payload_plan(arrived, 2);
  HopContext context{arrived, 60, 2, 0, {6, 8}};
  context.kept_end = 7;
  context.free = {5};
  context.preserve_fds = 2;
  crun.edit(plan, context);
  EXPECT_THAT(announced(plan.next), ElementsAre("LISTEN_PID=1"));
  EXPECT_THAT(crossing(plan.next), ElementsAre("3", "4", "6", "reset-signals", "make a file at 5"));
}

TEST(CrunProfile, ClosesStdioForANegativeCount) {
  const Environment arrived({"LISTEN_FDS=-2"});
  HopPlan plan = payload_plan(arrived, 0);
  profile(Hop::runtime_shim, "crun").edit(plan, {arrived, 60, 0, 0, {}});
  EXPECT_THAT(crossing(plan.next), ElementsAre("reset-signals", "close 1", "close 2"));
}

TEST(RuncProfile, AnnouncesAnewWithoutNames) {
  const Environment arrived = activated("60");
  HopPlan plan = payload_plan(arrived, 2);
  HopContext context{arrived, 60, 2, 0, {}};
  context.announced = true;
  context.announced_count = 2;
  context.config = Environment({"LISTEN_PID=9"});
  profile(Hop::runtime_shim, "runc").edit(plan, context);
  EXPECT_THAT(announced(plan.next), ElementsAre("LISTEN_FDS=2", "LISTEN_PID=1"));
}

TEST(RuncProfile, PassesItsOwnUpToItsLast) {
  const Profile& runc = profile(Hop::runtime_shim, "runc");
  HopPlan plan = payload_plan(Environment(), 0);
  HopContext context{Environment(), 60, 0, 0, {}};
  context.free = {3, 4};
  context.kept_end = 5;
  runc.edit(plan, context);
  EXPECT_THAT(crossing(plan.next), ElementsAre("reset-signals", "make a file at 3", "make an epoll at 4"));
  context.free = {3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_THROW(runc.edit(plan, context), Failure);
}

}  // namespace
}  // namespace fdchain
