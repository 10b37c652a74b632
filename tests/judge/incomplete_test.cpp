// Traces with holes in them: nothing is made up, and what cannot be known is said.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "fdchain/model/variables.h"
#include "tests/judge/run_builder.h"

namespace fdchain::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum Hop;
using enum Moment;

std::vector<std::string> unknown_of(const RunBuilder& run) { return judge(run.records).unknown; }

TEST(NoRecord, IsNoFindingAndAllUnknown) {
  const Diagnosis diagnosis = judge(std::vector<HopRecord>{});
  EXPECT_THAT(diagnosis.findings, IsEmpty());
  EXPECT_THAT(diagnosis.unknown,
              ElementsAre("what launcher received: no record of its arrival",
                          "what monitor received: no record of its arrival",
                          "what runtime-shim received: no record of its arrival",
                          "what payload received: it has not been seen",
                          "what was to be handed over: taken from what the first hop was told"));
}

// A test that fails here says which records were left.
std::string shown(const std::vector<HopRecord>& records) {
  std::string text;
  for (const HopRecord& record : records)
    text.append(to_string(record.hop)).append(" ").append(to_string(record.moment)).append(", ");
  return text;
}

std::vector<RunShape> shapes() {
  std::vector<RunShape> all;
  for (int bits = 0; bits < 32; ++bits) {
    for (const int sockets : {0, 1, 3}) {
      const bool inherited = (bits & 1) != 0 && sockets > 0;
      all.push_back(
          {sockets, (bits & 2) != 0 ? 2 : 0, inherited, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0});
    }
  }
  return all;
}

// All 2^10 or 2^9 sets of records of every shape.
TEST(AHealthyRun, GivesNoFindingWhicheverRecordsAreMissing) {
  for (const RunShape& shape : shapes()) {
    const RunBuilder whole(shape);
    for (unsigned kept = 0; kept < 1U << whole.records.size(); ++kept) {
      std::vector<HopRecord> records;
      for (std::size_t i = 0; i < whole.records.size(); ++i) {
        if ((kept >> i & 1) != 0) records.push_back(whole.records[i]);
      }
      ASSERT_THAT(summary(judge(records)), IsEmpty())
          << shown(records) << "of " << shape.sockets << " sockets, " << shape.preserved << " preserved"
          << (shape.inherited ? ", inherited" : "") << (shape.named ? ", named" : "")
          << (shape.notify ? ", notify" : "") << (shape.foreign ? ", foreign" : "");
    }
  }
}

TEST(AHealthyRun, GivesNoFindingInWhateverOrderItsRecordsAre) {
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) {
    RunBuilder run(RunShape{.sockets = 3, .preserved = 1, .inherited = true});
    std::ranges::shuffle(run.records, random);
    EXPECT_THAT(run.findings(), IsEmpty());
  }
}

TEST(AMissingRecord, IsNamed) {
  EXPECT_THAT(unknown_of(RunBuilder().drop(monitor, departure).drop(runtime_shim, arrival)),
              ElementsAre("what monitor was about to pass on: no record of its departure",
                          "what runtime-shim received: no record of its arrival"));
  EXPECT_THAT(unknown_of(RunBuilder().drop(runtime_shim, departure)), IsEmpty())
      << "what the next hop had when it started is the same";
  EXPECT_THAT(unknown_of(RunBuilder().drop(monitor, arrival)),
              ElementsAre("what monitor received: no record of its arrival"));
  EXPECT_THAT(unknown_of(RunBuilder().drop(payload)),
              ElementsAre("what payload received: it has not been seen"));
  EXPECT_THAT(unknown_of(RunBuilder().drop(monitor, after_exit)),
              ElementsAre("what monitor held when the payload had ended: no record of it"));
  EXPECT_THAT(
      unknown_of(RunBuilder().drop(payload, arrival).drop(runtime_shim, departure)),
      ElementsAre(
          "what runtime-shim was about to pass on: no record of its departure",
          "what payload received: it was seen from outside only, when it may have changed it already"));
}

std::vector<Hop> not_seen_in(const RunBuilder& run) { return judge(run.records).not_seen; }

TEST(AHopThatWasNotSeen, IsNamed) {
  EXPECT_THAT(not_seen_in(RunBuilder()), IsEmpty());
  EXPECT_THAT(not_seen_in(RunBuilder(RunShape{.foreign = true})), IsEmpty());
  EXPECT_THAT(not_seen_in(RunBuilder().drop(payload)), ElementsAre(payload));
  EXPECT_THAT(not_seen_in(RunBuilder().drop(monitor).drop(payload)), ElementsAre(monitor, payload));
  EXPECT_THAT(not_seen_in(RunBuilder().drop(launcher)), IsEmpty()) << "a chain begins with whoever was seen";
  EXPECT_THAT(judge(std::vector<HopRecord>{}).not_seen,
              ElementsAre(launcher, monitor, runtime_shim, payload));
}

TEST(AHopThatWasNotSeen, IsNoMonitorWhereTheLauncherStartedTheRuntimeItself) {
  RunBuilder run;
  run.drop(monitor);
  run.at(runtime_shim, arrival).ppid = launcher_pid;
  EXPECT_THAT(not_seen_in(run), IsEmpty());
}

// Of a run that failed, what can be the reason comes before what cannot, wherever it was seen.
TEST(AHopThatWasNotSeen, PutsWhatExplainsItFirst) {
  RunBuilder run;
  run.from(launcher, departure, [](HopRecord& record) { record.ignored_signals = {13}; });
  run.from(monitor, departure, [](HopRecord& record) { remove_row(record, 4); });
  EXPECT_THAT(run.findings(), ElementsAre("signal-ignored by launcher at monitor",
                                          "fd-lost-closed 4 by monitor at runtime-shim"));
  run.drop(payload);
  EXPECT_THAT(run.findings(), ElementsAre("fd-lost-closed 4 by monitor at runtime-shim",
                                          "signal-ignored by launcher at monitor"));
}

TEST(APresumedContract, IsSaidToBeOne) {
  RunBuilder run(RunShape{.preserved = 2});
  run.drop(launcher);
  EXPECT_THAT(
      unknown_of(run),
      ElementsAre(
          "what launcher received: no record of its arrival",
          "what launcher held when the payload had ended: no record of it",
          "what was to be handed over: taken from what the first hop was told",
          "whether what stands after the sockets was to be preserved: taken as meant, 2 descriptors"));
}

// Who did it between two records: nobody can be named when several can have done it.
TEST(ALoss, AcrossAHopWithoutRecordsHasNoCulpritAndNamesTheCandidates) {
  RunBuilder run;
  run.from(monitor, departure, [](HopRecord& record) { remove_row(record, 4); });
  run.drop(monitor, departure).drop(runtime_shim);
  EXPECT_THAT(run.findings(), ElementsAre("fd-lost-closed 4 by ? at payload"));
  EXPECT_THAT(judge(run.records).findings[0].evidence,
              EndsWith("; no record tells which of them did it: monitor runtime-shim"));
}

TEST(ALoss, WithoutADepartureIsStillTheOneHopsBetween) {
  RunBuilder run;
  run.from(monitor, departure, [](HopRecord& record) { remove_row(record, 4); });
  run.drop(monitor, departure);
  EXPECT_THAT(run.findings(), ElementsAre("fd-lost-closed 4 by monitor at runtime-shim"));
  EXPECT_THAT(judge(run.records).findings[0].evidence,
              EndsWith("closed, or close-on-exec: no record of the departure tells"));
}

TEST(ALoss, SeenFromOutsideOnlyMayBeThePayloadsOwnDoing) {
  RunBuilder run(RunShape{.foreign = true});
  run.drop(runtime_shim, departure);
  remove_row(run.at(payload, running), 3);
  EXPECT_THAT(run.findings(), ElementsAre("fd-lost-closed 3 by ? at payload"));
  EXPECT_THAT(judge(run.records).findings[0].evidence,
              EndsWith("no record tells which of them did it: runtime-shim payload"));
}

TEST(AStaleAnnouncement, AcrossAHopWithoutRecordsHasNoCulprit) {
  RunBuilder run;
  run.from(monitor, departure, [](HopRecord& record) { record.environment["LISTEN_PID"] = "201"; });
  run.drop(monitor).drop(runtime_shim).drop(launcher, departure);
  EXPECT_THAT(run.findings(), ElementsAre("listen-pid-stale by ? at payload"));
  EXPECT_THAT(judge(run.records).findings[0].evidence, EndsWith(": launcher monitor runtime-shim"));
}

TEST(ALeak, IntoTheFirstHopThatWasSeenHasNoCulprit) {
  RunBuilder run;
  run.from(launcher, departure, [](HopRecord& record) { put_row(record, directory_row(30)); });
  run.drop(launcher);
  EXPECT_THAT(run.findings(), ElementsAre("fd-leaked 30 by ? at monitor"));
  EXPECT_THAT(judge(run.records).findings[0].evidence, EndsWith(": activator launcher"));
}

TEST(ARefusedSocket, WithoutARecordOfTheShimHasNoCulprit) {
  RunBuilder run;
  row_of(run.at(payload, arrival), 3).error = "EACCES";
  run.drop(runtime_shim);
  EXPECT_THAT(run.findings(), ElementsAre("fd-access-denied 3 by ? at payload"));
}

// A foreign payload closes its stdin, opens a log and keeps a pidfd: its own affair, when seen afterwards.
TEST(ALookFromOutside, DoesNotTakeThePayloadsOwnForPassed) {
  for (const bool with_departure : {false, true}) {
    RunBuilder run(RunShape{.foreign = true});
    HopRecord& look = run.at(payload, running);
    remove_row(look, 0);
    FdRow log = directory_row(20);
    log.type = "REG";
    put_row(look, log);
    look.nofile_soft = 3;
    look.ignored_signals = {13};
    if (!with_departure) run.drop(runtime_shim, departure);
    EXPECT_THAT(run.findings(), IsEmpty()) << with_departure;
  }
}

TEST(ALookFromOutside, ShowsWhatAHopBeforeHad) {
  RunBuilder run(RunShape{.foreign = true});
  put_row(run.at(monitor, departure), directory_row(30));
  put_row(run.at(runtime_shim, arrival), directory_row(30));
  put_row(run.at(payload, running), directory_row(30));
  run.drop(runtime_shim, arrival).drop(runtime_shim, departure);
  EXPECT_THAT(run.findings(), ElementsAre("fd-leaked 30 by monitor at runtime-shim"));
}

TEST(OneRecordAlone, OfThePayloadIsJudgedByWhatItWasTold) {
  RunBuilder run;
  run.records = {run.at(payload, arrival)};
  EXPECT_THAT(run.findings(), IsEmpty());
  run.records[0].environment["LISTEN_PID"] = "7";
  EXPECT_THAT(run.findings(), ElementsAre("listen-pid-stale by ? at payload"));
}

// A contract from outside the trace.
TEST(AStatedContract, ThatTheTraceKeepsGivesNoFinding) {
  RunBuilder run;
  const Contract contract = *run.at(launcher, arrival).contract;
  EXPECT_THAT(judge(run.records, contract).findings, IsEmpty());
  run.drop(launcher);
  EXPECT_THAT(judge(run.records, contract).findings, IsEmpty());
}

TEST(AStatedContract, OfASocketThatNobodyEverHad) {
  RunBuilder run;
  Contract contract = *run.at(launcher, arrival).contract;
  contract.sockets.push_back({5, "s2", {}});
  run.drop(launcher);
  EXPECT_THAT(summary(judge(run.records, contract)), Contains("preserve-count-wrong 5 by ? at monitor"));
  for (HopRecord& record : run.records) {
    if (record.moment == after_exit) continue;
    for (int number = 3; number < 6; ++number) remove_row(record, number);
    record.environment.erase("LISTEN_FDS");
  }
  contract.sockets = {{3, "s0", {}}};
  const auto findings = summary(judge(run.records, contract));
  EXPECT_THAT(findings, Contains("fd-announced-missing 3 by ? at monitor"));
}

// Numbers and texts such as no chain makes, in every field.
class Garbage {
 public:
  explicit Garbage(unsigned seed) : random_(seed) {}

  HopRecord record() {
    HopRecord record;
    record.run = "r";
    record.hop = hop();
    record.seen_by = hop();
    record.moment = all_moments[below(all_moments.size())];
    record.pid = record.pid_in_namespace = number();
    if (below(2) == 0) record.pidfdid = number();
    for (std::size_t i = below(6); i > 0; --i) record.environment[variable()] = text();
    record.nofile_soft = static_cast<std::uint64_t>(number());
    for (std::size_t i = below(4); i > 0; --i)
      record.ignored_signals.push_back(static_cast<int>(1 + below(64)));
    std::ranges::sort(record.ignored_signals);
    record.fds = table();
    if (below(3) == 0) record.contract = contract();
    for (std::size_t i = below(3); i > 0; --i) record.heard.push_back(text());
    if (below(3) == 0) record.ended = text();
    for (std::size_t i = below(2); i > 0; --i) record.children.push_back({number(), text(), text()});
    return record;
  }

  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }

 private:
  Hop hop() { return static_cast<Hop>(below(5)); }
  int number() {
    static constexpr std::array numbers{0, 1, 2, 3, 4, 5, 6, 7, 100, (1 << 30) - 1};
    return numbers[below(numbers.size())];
  }
  std::string text() {
    static const std::vector<std::string> texts{
        "",    "1",          "2",          "3",     "100",           "-1",    "a:b", "x",
        "1e9", "2147483647", "2147483644", "\x1b[", "{\"data\":-1}", "exited"};
    return texts[below(texts.size())];
  }
  std::string variable() {
    static const std::vector<std::string> names{"LISTEN_FDS",     "LISTEN_PID",    "LISTEN_FDNAMES",
                                                "LISTEN_PIDFDID", "NOTIFY_SOCKET", "_OCI_SYNCPIPE",
                                                "_OCI_STARTPIPE"};
    return names[below(names.size())];
  }
  FdRow row() {
    static const std::vector<std::string> types{"TCP", "DIR", "FIFO", "UNIX-SEQPACKET", "SOCK", ""};
    FdRow row = socket_row(number(), static_cast<int>(below(4)));
    row.type = types[below(types.size())];
    row.close_on_exec = below(3) == 0;
    row.non_blocking = below(3) == 0;
    if (below(2) == 0) row.socket.reset();
    if (below(5) == 0) row.error = "EACCES";
    return row;
  }
  FdTable table() {
    FdTable table;
    for (std::size_t i = below(10); i > 0; --i) table.push_back(row());
    std::ranges::stable_sort(table, {}, &FdRow::number);
    return table;
  }
  Contract contract() {
    Contract contract;
    for (std::size_t i = below(4); i > 0; --i) contract.sockets.push_back({number(), text(), row()});
    contract.has_names = below(2) == 0;
    contract.preserved = table();
    contract.notify_payload = below(2) == 0;
    return contract;
  }

  std::mt19937 random_;
};

// Every finding still has an id that exists, an evidence and an advice.
TEST(Garbage, IsJudgedWithoutACrash) {
  Garbage garbage(1);
  std::size_t found = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<HopRecord> records;
    for (std::size_t count = 1 + garbage.below(8); count > 0; --count) records.push_back(garbage.record());
    for (const Finding& finding : judge(records).findings) {
      ++found;
      ASSERT_THAT(finding_ids, Contains(finding.id));
      ASSERT_FALSE(finding.evidence.empty());
      ASSERT_FALSE(finding.advice.empty());
    }
  }
  EXPECT_GT(found, 10'000U);
}

}  // namespace
}  // namespace fdchain::test
