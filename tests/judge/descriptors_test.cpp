// What is passed: each rule of judge/rules/descriptors.cpp, by the least that breaks it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>

#include "fdchain/judge/rules/evidence.h"
#include "tests/judge/run_builder.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum Hop;
using enum Moment;

auto without(int number) {
  return [=](HopRecord& record) { remove_row(record, number); };
}

auto with(const FdRow& row) {
  return [=](HopRecord& record) { put_row(record, row); };
}

TEST(Sockets, CloseOnExecAtADepartureAreLostThere) {
  RunBuilder run;
  run.from(monitor, arrival, without(4));
  row_of(run.at(launcher, departure), 4).close_on_exec = true;
  EXPECT_THAT(run.findings(), ElementsAre("fd-lost-cloexec 4 by launcher at monitor"));
  const Finding finding = judge(run.records).findings[0];
  EXPECT_EQ(finding.severity, Severity::error);
  EXPECT_EQ(finding.socket, "socket s1 (TCP 127.0.0.1:80)");
  EXPECT_EQ(finding.evidence,
            "socket s1 (TCP 127.0.0.1:80) is close-on-exec at 4 in launcher (departure), just before exec");
}

TEST(Sockets, ClosedByAHopAreLostOnceAndNotAgainAtEachLaterHop) {
  RunBuilder run;
  run.from(monitor, departure, without(3));
  EXPECT_THAT(run.findings(), ElementsAre("fd-lost-closed 3 by monitor at runtime-shim"));
}

TEST(Sockets, LostByOneCauseAreOneFindingThatNamesThemAll) {
  RunBuilder run(RunShape{.sockets = 5});
  run.from(monitor, departure, [](HopRecord& record) {
    for (int number = 4; number < 8; ++number) remove_row(record, number);
  });
  EXPECT_THAT(run.findings(), ElementsAre("fd-lost-closed 4 by monitor at runtime-shim"));
  for (const std::string name : {"s1", "s2", "s3", "s4"})
    EXPECT_THAT(judge(run.records).findings[0].evidence, HasSubstr("socket " + name + ' '));
}

TEST(Sockets, LostByTwoHopsAreTwoFindings) {
  RunBuilder run;
  run.from(launcher, departure, without(3));
  run.from(runtime_shim, departure, without(4));
  EXPECT_THAT(run.findings(), ElementsAre("fd-lost-closed 3 by launcher at monitor"));
  // Told wrongly from the monitor on, nobody behind it can be blamed for a socket.
  RunBuilder later;
  later.from(monitor, departure, [](HopRecord& record) { row_of(record, 3).non_blocking = true; });
  later.from(runtime_shim, departure, without(4));
  EXPECT_THAT(later.findings(), ElementsAre("nonblock-changed 3 by monitor at runtime-shim",
                                            "fd-lost-closed 4 by runtime-shim at payload"));
}

TEST(Sockets, ThatChangePlacesAreRenumbered) {
  RunBuilder run;
  run.from(runtime_shim, departure, [](HopRecord& record) {
    put_row(record, socket_row(3, 1));
    put_row(record, socket_row(4, 0));
  });
  EXPECT_THAT(run.findings(), ElementsAre("fd-renumbered 3 by runtime-shim at payload"));
}

TEST(Sockets, ReplacedByAnotherObjectAreSubstituted) {
  RunBuilder run;
  run.from(monitor, departure, with(socket_row(4, 77)));
  EXPECT_THAT(run.findings(), ElementsAre("fd-substituted 4 by monitor at runtime-shim"));
}

TEST(Sockets, ThatDoNotListenAnyMoreAreOfAWrongKind) {
  RunBuilder run;
  run.from(monitor, departure, [](HopRecord& record) { row_of(record, 3).socket->listening = false; });
  EXPECT_THAT(run.findings(), ElementsAre("socket-kind-wrong 3 by monitor at runtime-shim"));
}

// As socket 3 has been since it was passed by whoever came first.
RunBuilder run_with(const std::string& name, const std::string& local, const std::string& peer) {
  RunBuilder run(RunShape{.inherited = true});
  const auto change = [&](FdRow& row) {
    row.name = name;
    row.socket = SocketRow{AF_INET, SOCK_STREAM, false, 1000, local, peer};
  };
  for (HopRecord& record : run.records) {
    if (row_at(record.fds, 3) != nullptr) change(row_of(record, 3));
    if (record.contract) change(record.contract->sockets[0].row);
  }
  return run;
}

TEST(Sockets, OnWhichNobodyEverListenedAreTheActivators) {
  RunBuilder run = run_with("state=unconnected laddr=127.0.0.1:80", "127.0.0.1:80", "");
  EXPECT_THAT(run.findings(), ElementsAre("socket-kind-wrong 3 by activator at launcher"));
  EXPECT_EQ(judge(run.records).findings[0].severity, Severity::warning);
}

TEST(Sockets, OfAConnectionNeedNotListen) {
  EXPECT_THAT(run_with("state=connected laddr=127.0.0.1:80", "127.0.0.1:80", "127.0.0.1:9").findings(),
              IsEmpty());
  EXPECT_THAT(run_with("state=connected", "", "").findings(), IsEmpty()) << "a pair of unix sockets";
}

TEST(Sockets, MadeNonBlockingAreToldOnce) {
  RunBuilder run;
  run.from(launcher, departure, [](HopRecord& record) { row_of(record, 4).non_blocking = true; });
  EXPECT_THAT(run.findings(), ElementsAre("nonblock-changed 4 by launcher at monitor"));
  EXPECT_EQ(judge(run.records).findings[0].severity, Severity::warning);
}

TEST(Preserved, LostIsACountThatIsWrong) {
  RunBuilder run(RunShape{.preserved = 2});
  run.from(monitor, departure, without(6));
  EXPECT_THAT(run.findings(), ElementsAre("preserve-count-wrong 6 by monitor at runtime-shim"));
}

TEST(Preserved, ReplacedIsACountThatIsWrong) {
  RunBuilder run(RunShape{.preserved = 1});
  run.from(runtime_shim, departure, with(directory_row(5)));
  EXPECT_THAT(run.findings(), ::testing::Contains("preserve-count-wrong 5 by runtime-shim at payload"));
}

TEST(Strangers, AreToldAtTheFirstHopThatHasThem) {
  RunBuilder run;
  run.from(launcher, departure, with(directory_row(30)));
  EXPECT_THAT(run.findings(), ElementsAre("fd-leaked 30 by launcher at monitor"));
  EXPECT_EQ(judge(run.records).findings[0].severity, Severity::error);
}

TEST(Strangers, OfTheHostAreCriticalInThePayload) {
  RunBuilder run;
  run.from(runtime_shim, departure, with(directory_row(30)));
  EXPECT_THAT(run.findings(), ElementsAre("fd-leaked 30 by runtime-shim at payload"));
  EXPECT_EQ(judge(run.records).findings[0].severity, Severity::critical);
}

// A departure has no names, and is no sight of whoever comes after it.
TEST(Strangers, HaveTheNameOfAnyRecordAndNoHolderThatWasNotSeen) {
  RunBuilder run(RunShape{.foreign = true});
  FdRow nameless = directory_row(30);
  nameless.name.clear();
  run.from(runtime_shim, departure, with(directory_row(30)));
  put_row(run.at(runtime_shim, departure), nameless);
  EXPECT_EQ(judge(run.records).findings[0].evidence, "30 DIR / was not announced, and payload has it");
  run.drop(payload, running);
  put_row(run.at(launcher, arrival), directory_row(31));
  EXPECT_EQ(judge(run.records).findings[0].evidence,
            "30 DIR / was not announced, and runtime-shim passed it on");
}

TEST(Strangers, LeakedByOneHopAreOneFinding) {
  RunBuilder run;
  run.from(monitor, departure, with(directory_row(30)));
  run.from(monitor, departure, with(directory_row(31)));
  EXPECT_THAT(run.findings(), ElementsAre("fd-leaked 30 by monitor at runtime-shim"));
  EXPECT_THAT(judge(run.records).findings[0].evidence, HasSubstr("31 DIR /"));
}

TEST(Strangers, CloseOnExecDoNotCross) {
  RunBuilder run;
  FdRow row = directory_row(30);
  row.close_on_exec = true;
  put_row(run.at(launcher, departure), row);
  put_row(run.at(runtime_shim, departure), row);
  EXPECT_THAT(run.findings(), IsEmpty());
}

// What the caller leaves open is nobody's business before it crosses.
TEST(Strangers, OfTheLauncherItselfAreNone) {
  RunBuilder run;
  put_row(run.at(launcher, arrival), directory_row(30));
  EXPECT_THAT(run.findings(), IsEmpty());
}

TEST(Strangers, RightBehindTheSocketsAreADoubledCount) {
  RunBuilder run;
  run.from(runtime_shim, departure, with(directory_row(5)));
  run.from(runtime_shim, departure, with(directory_row(6)));
  EXPECT_THAT(run.findings(), ElementsAre("preserve-count-wrong 5 by runtime-shim at payload"));
}

TEST(Stdio, ClosedIsAHole) {
  RunBuilder run;
  run.from(monitor, departure, without(1));
  EXPECT_THAT(run.findings(), ElementsAre("stdio-hole 1 by monitor at runtime-shim"));
}

TEST(Stdio, ClosedByTheCallerIsTheActivatorsAndAWarning) {
  RunBuilder run;
  remove_row(run.at(launcher, arrival), 0);
  EXPECT_THAT(run.findings(), ElementsAre("stdio-hole 0 by activator at launcher"));
  EXPECT_EQ(judge(run.records).findings[0].severity, Severity::warning);
}

TEST(Stdio, TakenByASocketIsAHole) {
  RunBuilder run;
  run.from(monitor, departure, with(socket_row(2, 9)));
  EXPECT_THAT(run.findings(), ElementsAre("stdio-hole 2 by monitor at runtime-shim"));
}

// inetd style: whoever starts with a socket there was meant to.
TEST(Stdio, ThatWasASocketFromTheStartIsNone) {
  RunBuilder run;
  for (HopRecord& record : run.records) put_row(record, socket_row(0, 9));
  EXPECT_THAT(run.findings(), IsEmpty());
}

FdRow file_row(int number, const std::string& mode) {
  FdRow row = directory_row(number);
  row.type = "REG";
  row.mode = mode;
  return row;
}

// `exec monitor 2>>log`: the trace cannot tell it from a mistake, and it is none as a rule.
TEST(Stdio, RedirectedToAFileIsNotedOnly) {
  RunBuilder run;
  run.from(runtime_shim, arrival, with(file_row(2, "-w")));
  EXPECT_THAT(run.findings(), ElementsAre("fd-substituted 2 by ? at runtime-shim"));
  EXPECT_EQ(judge(run.records).findings[0].severity, Severity::note);
}

// As systemd-cat(1) has it.
TEST(Stdio, ConnectedToAJournalIsNotedOnly) {
  RunBuilder run;
  FdRow journal = socket_row(2, 9);
  journal.type = "UNIX-STREAM";
  journal.socket->listening = false;
  run.from(runtime_shim, arrival, with(journal));
  EXPECT_THAT(run.findings(), ElementsAre("stdio-hole 2 by ? at runtime-shim"));
  EXPECT_EQ(judge(run.records).findings[0].severity, Severity::note);
}

TEST(Stdio, ThatAFileForReadingLandsOnIsCritical) {
  RunBuilder run;
  run.from(monitor, arrival, with(file_row(2, "r-")));
  EXPECT_EQ(judge(run.records).findings[0].severity, Severity::critical);
}

TEST(Stdio, ThatWasClosedBeforeAFileTookItIsNoRedirection) {
  RunBuilder run;
  run.from(monitor, departure, without(2)).from(payload, arrival, with(file_row(2, "-w")));
  const auto findings = judge(run.records).findings;
  const auto found = std::ranges::find(findings, "fd-substituted", &Finding::id);
  ASSERT_NE(found, findings.end());
  EXPECT_EQ(found->severity, Severity::critical);
}

TEST(Access, RefusedIsToldOfASocket) {
  RunBuilder run;
  FdRow& row = row_of(run.at(payload, arrival), 4);
  row.error = "EACCES";
  row.type = "SOCK";
  row.socket.reset();
  EXPECT_THAT(run.findings(), ElementsAre("fd-access-denied 4 by runtime-shim at payload"));
}

}  // namespace
}  // namespace fdchain::test
