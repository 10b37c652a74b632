// What is announced: each rule of judge/rules/environment.cpp, by the least that breaks it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/judge/run_builder.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum Hop;
using enum Moment;

auto set(std::string name, std::string value) {
  return [=](HopRecord& record) { record.environment[name] = value; };
}

auto unset(std::string name) {
  return [=](HopRecord& record) { record.environment.erase(name); };
}

TEST(Announcement, OfAHealthyRunIsFineWhateverItsShape) {
  for (const bool inherited : {false, true}) {
    for (const bool named : {false, true}) {
      for (const int sockets : {0, 1, 2, 50}) {
        for (const int preserved : {0, 3}) {
          const RunShape shape{sockets, preserved, inherited && sockets > 0, named, inherited, named};
          EXPECT_THAT(RunBuilder(shape).findings(), IsEmpty())
              << sockets << ' ' << preserved << ' ' << inherited << ' ' << named;
          EXPECT_THAT(judge(RunBuilder(shape).records).unknown, IsEmpty());
        }
      }
    }
  }
}

TEST(ListenPid, KeptByAHopIsItsDoing) {
  RunBuilder run;
  run.from(launcher, departure, set("LISTEN_PID", "100"));
  EXPECT_THAT(run.findings(), ElementsAre("listen-pid-stale by launcher at monitor"));
  RunBuilder later;
  later.from(monitor, departure, set("LISTEN_PID", "201"));
  EXPECT_THAT(later.findings(), ElementsAre("listen-pid-stale by monitor at runtime-shim"));
}

TEST(ListenPid, OfSomebodyElseIsTheActivatorsDoing) {
  RunBuilder run(RunShape{.inherited = true});
  run.records = {run.at(launcher, arrival)};
  run.records[0].environment["LISTEN_PID"] = "99";
  run.records[0].contract.reset();
  EXPECT_THAT(run.findings(), ElementsAre("listen-pid-stale by activator at launcher"));
}

// As podman tells conmon, and conmon the runtime.
RunBuilder told_by_count(int count) {
  RunBuilder run;
  for (const Hop hop : {monitor, runtime_shim}) run.at(hop, arrival).preserve_fds = count;
  for (const Hop hop : {launcher, monitor}) {
    for (const auto name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})
      run.at(hop, departure).environment.erase(name);
  }
  for (const Hop hop : {monitor, runtime_shim}) {
    for (const auto name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})
      run.at(hop, arrival).environment.erase(name);
  }
  return run;
}

// fdchain's own words count what follows the sockets that LISTEN_FDS counts.
TEST(Preserved, AreCountedBesideTheSocketsInANativeChain) {
  for (const int told : {3, 5, 1}) {
    RunBuilder run(RunShape{.sockets = 4, .preserved = 3});
    for (HopRecord* const record : {&run.at(launcher, departure), &run.at(monitor, arrival)}) {
      record->preserve_fds = told;
      record->counts_sockets = false;
    }
    const std::vector<std::string> wrong{"preserve-count-wrong " + std::to_string(7 + std::min(told, 3)) +
                                         " by launcher at monitor"};
    EXPECT_EQ(run.findings(), told == 3 ? std::vector<std::string>{} : wrong) << told;
  }
}

TEST(ToldByCount, AHopNeedsNoAnnouncement) { EXPECT_THAT(told_by_count(2).findings(), IsEmpty()); }

TEST(ToldByCount, OfFewerIsTheDoingOfWhoTold) {
  EXPECT_THAT(told_by_count(1).findings(), ElementsAre("preserve-count-wrong 4 by launcher at monitor"));
}

TEST(ToldByCount, OfMoreIsTheDoingOfWhoTold) {
  EXPECT_THAT(told_by_count(5).findings(), ElementsAre("preserve-count-wrong 5 by launcher at monitor"));
}

TEST(ToldByCount, AStaleListenPidIsOneMistakeAndMisleadsNobody) {
  RunBuilder run = told_by_count(2);
  run.from(launcher, departure, [](HopRecord& record) {
    if (record.hop != payload) record.environment["LISTEN_PID"] = "100";
  });
  run.at(runtime_shim, departure).environment["LISTEN_PID"] = "301";
  EXPECT_THAT(run.findings(), ElementsAre("listen-pid-stale by launcher at monitor"));
}

TEST(ToldByCount, AndByListenFdsAddedUpIsTheRuntimesDoing) {
  RunBuilder run = told_by_count(2);
  run.at(runtime_shim, arrival).environment["LISTEN_FDS"] = "2";
  for (const int number : {5, 8}) {
    put_row(run.at(runtime_shim, departure), directory_row(number));
    put_row(run.at(payload, arrival), directory_row(number));
  }
  EXPECT_THAT(run.findings(), ElementsAre("preserve-count-wrong 5 by runtime-shim at payload",
                                          "fd-leaked 8 by runtime-shim at payload"));
}

TEST(ToldByCount, WhatAForeignPayloadHasInThatRangeWasKept) {
  RunBuilder run(RunShape{.foreign = true});
  run.at(runtime_shim, arrival).preserve_fds = 3;
  run.drop(runtime_shim, departure);
  put_row(run.at(payload, running), directory_row(5));
  put_row(run.at(payload, running), directory_row(8));
  EXPECT_THAT(run.findings(), ElementsAre("preserve-count-wrong 5 by monitor at runtime-shim",
                                          "preserve-count-wrong 5 by runtime-shim at payload"));
}

// podman 4.3 with --preserve-fds 1 and two sockets: one cause, one finding.
TEST(ToldByCount, WhatIsNotCountedIsNoLossOfItsOwn) {
  RunBuilder run(RunShape{.sockets = 2, .foreign = true});
  run.from(launcher, departure, [](HopRecord& record) {
    std::erase_if(record.fds, [](const FdRow& row) { return row.number == 4; });
    for (const auto* const name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
      record.environment.erase(name);
  });
  run.at(launcher, departure).preserve_fds = 1;
  for (const Hop hop : {monitor, runtime_shim}) run.at(hop, arrival).preserve_fds = 1;
  EXPECT_THAT(run.findings(), ElementsAre("preserve-count-wrong 4 by launcher at monitor"));
}

// A variable that nobody set is the first one's to have set.
TEST(EnvDropped, IsToldWhereItIsFirstMissing) {
  RunBuilder run(RunShape{.inherited = true});
  run.at(launcher, arrival).environment.erase("LISTEN_PID");
  run.from(runtime_shim, departure, unset("LISTEN_PID"));
  EXPECT_THAT(run.findings(), ElementsAre("env-dropped 3 by activator at launcher",
                                          "env-dropped 3 by runtime-shim at payload"))
      << "the monitor had it again";
}

TEST(ListenPid, OfAnotherIsRightWhereItIsToBeReplaced) {
  RunBuilder run;
  run.from(launcher, departure, set("LISTEN_PID", "100"));
  run.from(monitor, departure, set("LISTEN_PID", "301"));
  run.at(monitor, arrival).replaces_listen_pid = true;
  EXPECT_THAT(run.findings(), IsEmpty());
}

TEST(ListenPid, IsReadAsThePayloadReadsIt) {
  RunBuilder run;
  run.from(runtime_shim, departure, set("LISTEN_PID", " 0x12d"));  // 301
  EXPECT_THAT(run.findings(), IsEmpty());
}

TEST(ListenPidfdid, KeptByAHopIsItsDoing) {
  RunBuilder run;
  run.from(monitor, departure, set("LISTEN_PIDFDID", "10201"));
  EXPECT_THAT(run.findings(), ElementsAre("listen-pidfdid-stale by monitor at runtime-shim"));
}

// One cause, one finding: without the pid the other two are of no use, and no other rule says so again.
TEST(EnvDropped, NamesWhoDroppedIt) {
  for (const std::string name : {"LISTEN_PID", "LISTEN_FDS"}) {
    RunBuilder run;
    run.from(monitor, departure, unset(name));
    EXPECT_THAT(run.findings(), ElementsAre("env-dropped 3 by monitor at runtime-shim"));
    EXPECT_THAT(judge(run.records).findings[0].evidence, ::testing::HasSubstr(name));
  }
  RunBuilder run;
  for (const std::string name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"})
    run.from(launcher, departure, unset(name));
  EXPECT_THAT(run.findings(), ElementsAre("env-dropped 3 by launcher at monitor"));
}

TEST(ListenFds, OfFewerThanArePassedIsACountThatIsWrong) {
  RunBuilder run;
  run.from(launcher, departure, set("LISTEN_FDS", "1"));
  run.from(launcher, departure, set("LISTEN_FDNAMES", "s0"));
  EXPECT_THAT(run.findings(), ElementsAre("preserve-count-wrong 4 by launcher at monitor"));
}

TEST(ListenFds, OfMoreThanArePassedIsAnnouncedAndMissing) {
  RunBuilder run;
  run.from(monitor, departure, set("LISTEN_FDS", "9"));
  run.from(monitor, departure, set("LISTEN_FDNAMES", "s0:s1:a:b:c:d:e:f:g"));
  EXPECT_THAT(run.findings(), ::testing::Contains("fd-announced-missing 6 by monitor at runtime-shim"));
}

TEST(ListenFds, ThatIsNoCountIsACountThatIsWrong) {
  for (const std::string value : {"", "-1", "0", "two", "2147483647", "99999999999999999999"}) {
    RunBuilder run;
    run.from(launcher, departure, set("LISTEN_FDS", value));
    EXPECT_THAT(run.findings(), ElementsAre("preserve-count-wrong 3 by launcher at monitor")) << value;
  }
}

TEST(ListenFds, WithNothingBehindItIsTheActivatorsDoing) {
  RunBuilder run(RunShape{.sockets = 0});
  run.records = {run.at(launcher, arrival)};
  run.records[0].contract.reset();
  run.records[0].environment = {{"LISTEN_FDS", "2"}, {"LISTEN_PID", "100"}};
  EXPECT_THAT(run.findings(), ::testing::Contains("fd-announced-missing 3 by activator at launcher"));
}

TEST(EnvLeaked, AnnouncesWhatIsNotThere) {
  RunBuilder run(RunShape{.sockets = 0});
  run.from(launcher, departure, set("LISTEN_FDS", "2"));
  EXPECT_THAT(run.findings(), ElementsAre("env-leaked by launcher at monitor"));
}

TEST(EnvLeaked, IsAHandshakeVariableBehindTheMonitor) {
  RunBuilder run;
  run.from(monitor, departure, set("_OCI_SYNCPIPE", "5"));
  EXPECT_THAT(run.findings(), ElementsAre("env-leaked by monitor at runtime-shim"));
  RunBuilder later;
  later.from(runtime_shim, departure, set("_OCI_STARTPIPE", "6"));
  EXPECT_THAT(later.findings(), ElementsAre("env-leaked by runtime-shim at payload"));
}

TEST(EnvLeaked, IsANotifySocketThatWasToBeKeptBack) {
  RunBuilder run;
  run.at(launcher, arrival).environment["NOTIFY_SOCKET"] = "/run/notify";
  run.from(launcher, departure, set("NOTIFY_SOCKET", "/run/notify"));
  EXPECT_THAT(run.findings(), ElementsAre("env-leaked by launcher at monitor"));
}

TEST(NotifyLost, WhenTheVariableIsDroppedOrPointsElsewhere) {
  RunBuilder run(RunShape{.notify = true});
  run.from(monitor, departure, unset("NOTIFY_SOCKET"));
  EXPECT_THAT(run.findings(), ElementsAre("notify-lost by monitor at runtime-shim"));
  RunBuilder other(RunShape{.notify = true});
  other.from(runtime_shim, departure, set("NOTIFY_SOCKET", "/elsewhere"));
  EXPECT_THAT(other.findings(), ElementsAre("notify-lost by runtime-shim at payload"));
}

TEST(NotifyLost, NotBehindAMonitorThatForwards) {
  RunBuilder run(RunShape{.notify = true});
  run.at(monitor, arrival).relays_notify = true;
  run.from(launcher, departure, unset("NOTIFY_SOCKET"));
  run.from(runtime_shim, departure, set("NOTIFY_SOCKET", "/run/notify/notify.sock"));
  EXPECT_THAT(run.findings(), IsEmpty());
  run.from(runtime_shim, departure, unset("NOTIFY_SOCKET"));
  EXPECT_THAT(run.findings(), ElementsAre("notify-lost by runtime-shim at payload"));
}

TEST(Fdnames, OfAnotherNumberOrOrderAreAMismatch) {
  for (const std::string names : {"s0", "s1:s0", "s0:s1:s2", "", "s0:s0"}) {
    RunBuilder run;
    run.from(monitor, departure, set("LISTEN_FDNAMES", names));
    EXPECT_THAT(run.findings(), ElementsAre("fdnames-mismatch by monitor at runtime-shim")) << names;
  }
}

TEST(Fdnames, DroppedOrInventedAreAMismatch) {
  RunBuilder run;
  run.from(runtime_shim, departure, unset("LISTEN_FDNAMES"));
  EXPECT_THAT(run.findings(), ElementsAre("fdnames-mismatch by runtime-shim at payload"));
  RunBuilder invented(RunShape{.named = false});
  invented.from(launcher, departure, set("LISTEN_FDNAMES", "a:b"));
  EXPECT_THAT(invented.findings(), ElementsAre("fdnames-mismatch by launcher at monitor"));
}

TEST(Fdnames, ThatNeverCountedTheSocketsAreTheActivatorsAndTheSocketsAreJudgedOn) {
  for (const std::string names : {"s0", "s0:s1:s2"}) {
    RunBuilder run(RunShape{.inherited = true});
    for (HopRecord& record : run.records) {
      if (record.environment.contains("LISTEN_FDNAMES")) record.environment["LISTEN_FDNAMES"] = names;
    }
    EXPECT_THAT(run.findings(), ElementsAre("fdnames-mismatch by activator at launcher")) << names;
    run.from(monitor, departure, unset("LISTEN_FDS"));
    EXPECT_THAT(run.findings(), ElementsAre("fdnames-mismatch by activator at launcher",
                                            "env-dropped 3 by monitor at runtime-shim"))
        << names;
  }
}

// Each hop's variable as its own pid, but for what `spoil` does.
RunBuilder named_run(const std::string& name) {
  RunBuilder run;
  for (HopRecord& record : run.records) {
    record.environment[name] = std::to_string(record.pid_in_namespace);
    if (name == "WATCHDOG_PID") record.environment["WATCHDOG_USEC"] = "2000000";
  }
  return run;
}

TEST(PidVariables, ThatNameEachHopAreRight) {
  EXPECT_THAT(named_run("WATCHDOG_PID").findings(), IsEmpty());
  EXPECT_THAT(named_run("SYSTEMD_EXEC_PID").findings(), IsEmpty());
}

TEST(PidVariables, ThatAHopLeavesAsTheyCameAreItsMistake) {
  for (const std::string name : {"WATCHDOG_PID", "SYSTEMD_EXEC_PID"}) {
    for (const Hop hop : {launcher, monitor}) {
      RunBuilder run = named_run(name);
      run.from(hop, departure, set(name, run.at(hop, arrival).environment.at(name)));
      const std::string next(to_string(static_cast<Hop>(static_cast<int>(hop) + 1)));
      EXPECT_THAT(run.findings(),
                  ElementsAre("pid-variable-stale by " + std::string(to_string(hop)) + " at " + next))
          << name;
    }
  }
}

TEST(PidVariables, ThatNobodyWasNamedInAreTheActivators) {
  RunBuilder run = named_run("WATCHDOG_PID");
  for (HopRecord& record : run.records) record.environment["WATCHDOG_PID"] = "1";
  EXPECT_THAT(run.findings(), ElementsAre("pid-variable-stale by activator at launcher"));
}

TEST(PidVariables, WithoutAWatchdogAreNobodys) {
  RunBuilder run = named_run("WATCHDOG_PID");
  for (HopRecord& record : run.records) {
    record.environment["WATCHDOG_PID"] = "1";
    record.environment.erase("WATCHDOG_USEC");
  }
  EXPECT_THAT(run.findings(), IsEmpty());
}

TEST(PidVariables, OfTheTerminalInWhichItAllBeganAreNobodys) {
  RunBuilder run = named_run("SYSTEMD_EXEC_PID");
  for (HopRecord& record : run.records) record.environment["SYSTEMD_EXEC_PID"] = "1";
  EXPECT_THAT(run.findings(), IsEmpty());
}

TEST(PidVariables, ThatDoNotReachThePayloadHarmNobody) {
  RunBuilder run = named_run("WATCHDOG_PID");
  run.from(launcher, departure, set("WATCHDOG_PID", "1"));
  run.from(runtime_shim, departure, unset("WATCHDOG_PID"));
  EXPECT_THAT(run.findings(), IsEmpty());
}

TEST(Handshake, AtASocketIsACollision) {
  for (const std::string value : {"3", "99", "x", "-1", "2147483648"}) {
    RunBuilder run;
    run.at(launcher, departure).environment["_OCI_SYNCPIPE"] = value;
    run.at(monitor, arrival).environment["_OCI_SYNCPIPE"] = value;
    const auto findings = judge(run.records).findings;
    ASSERT_EQ(findings.size(), 1U) << value;
    EXPECT_EQ(findings[0].id, "handshake-collision");
    EXPECT_EQ(findings[0].culprit, launcher);
  }
}

}  // namespace
}  // namespace fdchain::test
