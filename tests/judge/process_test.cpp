// What a process has beside descriptors, and how a run ends: each rule of judge/rules/process.cpp.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/judge/run_builder.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum Hop;
using enum Moment;

TEST(Nofile, ThatWhatIsPassedDoesNotFitInIsTold) {
  RunBuilder run;
  run.from(monitor, departure, [](HopRecord& record) { record.nofile_soft = 4; });
  EXPECT_THAT(run.findings(), ElementsAre("nofile-exceeded 4 by monitor at runtime-shim"));
  RunBuilder enough;
  enough.from(monitor, departure, [](HopRecord& record) { record.nofile_soft = 5; });
  EXPECT_THAT(enough.findings(), IsEmpty());
}

TEST(IgnoredSignals, AreToldWhereTheyAppear) {
  RunBuilder run;
  run.from(launcher, departure, [](HopRecord& record) { record.ignored_signals = {13, 17, 32, 34, 36}; });
  EXPECT_THAT(run.findings(), ElementsAre("signal-ignored by launcher at monitor"));
  EXPECT_THAT(judge(run.records).findings[0].evidence, HasSubstr(": SIGPIPE SIGCHLD 32 SIGRTMIN SIGRTMIN+2"));
}

TEST(IgnoredSignals, ThatTheActivatorIgnoredAreNone) {
  RunBuilder run;
  for (HopRecord& record : run.records) record.ignored_signals = {1};
  EXPECT_THAT(run.findings(), IsEmpty());
}

// Python ignores SIGPIPE as soon as it runs; that is not the shim's doing.
TEST(IgnoredSignals, ThatAForeignPayloadIgnoresItselfAreNone) {
  RunBuilder run(RunShape{.foreign = true});
  run.at(payload, running).ignored_signals = {13};
  EXPECT_THAT(run.findings(), IsEmpty());
}

TEST(Retained, SocketsAreTheFaultOfWhoHoldsThem) {
  for (const Hop hop : {launcher, monitor}) {
    RunBuilder run;
    put_row(run.at(hop, after_exit), socket_row(9, 0));
    put_row(run.at(hop, after_exit), socket_row(10, 1));
    const std::string name(to_string(hop));
    EXPECT_THAT(run.findings(), ElementsAre("fd-retained by " + name + " at " + name));
    EXPECT_THAT(judge(run.records).findings[0].evidence, HasSubstr("s0 (TCP 127.0.0.1:80) at 9, socket s1"));
  }
}

TEST(Retained, ByABystanderIsTheFaultOfWhoStartedIt) {
  RunBuilder run;
  HopRecord script = run.at(launcher, arrival);
  script.moment = exec;
  script.program = "start.sh";
  script.time_ns = 1;
  HopRecord bystander = run.at(launcher, departure);
  bystander.moment = payload_end;
  bystander.program = "sleep";
  bystander.pid = 77;
  bystander.time_ns = 2;
  bystander.fds = {socket_row(3, 0)};
  run.at(launcher, arrival).time_ns = 3;
  run.records.push_back(script);
  run.records.push_back(bystander);
  EXPECT_THAT(run.findings(), ElementsAre("fd-retained by launcher at launcher"));
  const Finding finding = judge(run.records).findings[0];
  EXPECT_TRUE(finding.culprit_is_wrapper);
  EXPECT_EQ(finding.culprit_program, "start.sh");
  EXPECT_EQ(finding.evidence,
            "sleep (pid 77), started by the launcher, holds socket s0 (TCP 127.0.0.1:80) at 3 after the end: "
            "clients hang, and a restart finds the address in use");
}

TEST(Children, ThatAreLeftAreTold) {
  RunBuilder run;
  run.at(monitor, after_exit).children = {{77, "Z", "sh"}, {78, "S", "sleep"}};
  EXPECT_THAT(run.findings(), ElementsAre("zombie-left by monitor at monitor"));
  EXPECT_EQ(judge(run.records).findings[0].evidence,
            "process 77 (sh) is a zombie; process 78 (sleep) is still running");
}

// Looks of the monitor at itself, with so many descriptors each.
RunBuilder watched(const std::vector<int>& counts) {
  RunBuilder run;
  for (const int count : counts) {
    HopRecord look = run.at(monitor, arrival);
    look.moment = running;
    for (int i = 0; i < count; ++i) put_row(look, directory_row(20 + i));
    run.records.push_back(look);
  }
  return run;
}

TEST(Growth, IsThreeLooksThatEachFindMore) {
  EXPECT_THAT(watched({1, 2, 3}).findings(), ElementsAre("fd-growth 22 by monitor at monitor"));
  EXPECT_THAT(watched({1, 2}).findings(), IsEmpty());
  EXPECT_THAT(watched({1, 2, 2}).findings(), IsEmpty());
  EXPECT_THAT(watched({3, 2, 1}).findings(), IsEmpty());
}

TEST(LostWords, OfTheMonitorAreTheLaunchersLoss) {
  RunBuilder run;
  run.at(launcher, after_exit).heard = {"{\"data\":301}\n"};
  EXPECT_THAT(run.findings(), ElementsAre("handshake-lost-error by monitor at launcher"));
}

TEST(LostWords, OfARuntimeThatFailedInSilence) {
  RunBuilder run;
  run.drop(payload);
  run.at(monitor, after_exit).heard.clear();
  run.at(monitor, after_exit).ended = "exited with status 127";
  run.at(launcher, after_exit).heard = {"{\"data\":-1,\"message\":\"gone\"}\n"};
  EXPECT_THAT(run.findings(), ElementsAre("handshake-lost-error by runtime-shim at monitor"));
  run.at(monitor, after_exit).heard = {"{\"data\":-1,\"message\":\"no such file\"}\n"};
  EXPECT_THAT(run.findings(), IsEmpty());
}

}  // namespace
}  // namespace fdchain::test
