// --expect: what it can be, and what it finds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fdchain/model/allowance.h"
#include "fdchain/model/expectation.h"
#include "fdchain/model/failure.h"
#include "tests/judge/run_builder.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum Hop;
using enum Moment;

std::string complaint(std::string_view text) {
  try {
    parse_expectation(text);
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "none";
}

TEST(ParseExpectation, ReadsPlacesAndNothingElse) {
  const std::string text = "payload: web at 3, [::]:8080 at 4,/run/my file at home at 5 , nothing else";
  const Expectation expected = parse_expectation(text);
  EXPECT_EQ(expected,
            (Expectation{text, payload, {{"web", 3}, {"[::]:8080", 4}, {"/run/my file at home", 5}}, true}));
  EXPECT_EQ(parse_expectation("runtime-shim:web at 3"),
            (Expectation{"runtime-shim:web at 3", runtime_shim, {{"web", 3}}, false}));
  EXPECT_EQ(parse_expectation(" monitor : nothing"), (Expectation{" monitor : nothing", monitor, {}, true}));
}

TEST(ParseExpectation, RefusesWhatIsNone) {
  const std::string form = "not 'HOP: NAME at N, ...[, nothing else]' or 'HOP: nothing'";
  EXPECT_EQ(complaint(""), "--expect : " + form);
  EXPECT_EQ(complaint("payload"), "--expect payload: " + form);
  EXPECT_EQ(complaint("payload: "), "--expect payload: : " + form);
  for (const std::string hop : {"conmon", "activator", ""}) {
    EXPECT_EQ(complaint(hop + ": nothing"), "--expect " + hop + ": nothing: " + hop +
                                                " is not one of launcher, monitor, runtime-shim, payload");
  }
  for (const std::string item : {"web", "web at", "at 3", "nothing else", "web 3", " at 3"}) {
    EXPECT_THAT(complaint("payload: " + item), ::testing::EndsWith("' is not NAME at NUMBER")) << item;
  }
  EXPECT_EQ(complaint("payload: web at 3,"), "--expect payload: web at 3,: '' is not NAME at NUMBER");
  for (const std::string number : {"2", "-1", "x", "3x", "1073741824", "99999999999999999999"}) {
    EXPECT_THAT(complaint("payload: web at " + number),
                ::testing::EndsWith("'" + number + "' is not a descriptor from 3 on"));
  }
  EXPECT_EQ(complaint("payload: a at 3, b at 3"),
            "--expect payload: a at 3, b at 3: descriptor 3 is named twice");
  EXPECT_EQ(complaint("payload: a at 3, nothing else, b at 4"),
            "--expect payload: a at 3, nothing else, b at 4: 'nothing else' stands at the end");
}

Diagnosis diagnosis_of(const RunBuilder& run, const std::vector<std::string>& texts) {
  std::vector<Expectation> expected;
  for (const std::string& text : texts) expected.push_back(parse_expectation(text));
  return judge(run.records, std::nullopt, expected);
}

std::vector<std::string> breaches(const RunBuilder& run, const std::vector<std::string>& texts) {
  std::vector<std::string> found;
  for (const std::string& line : summary(diagnosis_of(run, texts))) {
    if (line.starts_with("expectation-failed")) found.push_back(line);
  }
  return found;
}

Finding breach_of(const RunBuilder& run, std::string_view text) {
  for (const Finding& finding : diagnosis_of(run, {std::string(text)}).findings) {
    if (finding.id == "expectation-failed") return finding;
  }
  ADD_FAILURE() << "no breach of " << text;
  return {};
}

TEST(AnExpectation, ThatIsMetIsNoFinding) {
  for (const bool inherited : {false, true}) {
    const RunBuilder run(RunShape{.preserved = 1, .inherited = inherited});
    const std::string address = socket_row(3, 0).socket->local;
    EXPECT_THAT(breaches(run, {"payload: s0 at 3, s1 at 4, /data/0 at 5, nothing else",
                               "runtime-shim: s0 at 3, s1 at 4, /data/0 at 5, nothing else",
                               "monitor: s0 at 3, s1 at 4, /data/0 at 5, nothing else", "payload: s1 at 4",
                               "payload: " + address + " at 3"}),
                IsEmpty());
  }
  EXPECT_THAT(breaches(RunBuilder(RunShape{.sockets = 0}), {"payload: nothing", "monitor: nothing"}),
              IsEmpty());
}

TEST(AnExpectation, OfASocketThatWasLostNamesWhoLostIt) {
  RunBuilder run;
  run.from(monitor, departure, [](HopRecord& record) { remove_row(record, 4); });
  const Finding breach = breach_of(run, "payload: s0 at 3, s1 at 4");
  EXPECT_EQ(breach.severity, Severity::error);
  EXPECT_EQ(breach.hop, payload);
  EXPECT_EQ(breach.culprit, monitor);
  EXPECT_EQ(breach.culprit_program, "monitor");
  EXPECT_EQ(breach.fd, 4);
  EXPECT_THAT(breach.socket, HasSubstr("s1"));
  EXPECT_EQ(breach.evidence, "expected 'payload: s0 at 3, s1 at 4': payload has nothing at 4");
}

TEST(AnExpectation, SaysWhatIsThereInstead) {
  RunBuilder run;
  run.from(monitor, departure, [](HopRecord& record) {
    std::swap(row_of(record, 3), row_of(record, 4));
    std::swap(row_of(record, 3).number, row_of(record, 4).number);
  });
  std::ranges::for_each(run.records,
                        [](HopRecord& record) { std::ranges::sort(record.fds, {}, &FdRow::number); });
  const Finding breach = breach_of(run, "payload: s0 at 3");
  EXPECT_EQ(breach.culprit, monitor);
  EXPECT_THAT(breach.evidence, HasSubstr("payload has socket s1 ("));
  EXPECT_THAT(breach.evidence, ::testing::EndsWith(" at 3, and s0 is at 4"));
}

TEST(AnExpectation, ThatNoHopEverMetHasNoCulprit) {
  const Finding breach = breach_of(RunBuilder(), "payload: s0 at 7");
  EXPECT_EQ(breach.culprit, std::nullopt);
  EXPECT_EQ(breach.evidence,
            "expected 'payload: s0 at 7': payload has nothing at 7, and s0 is at 3; no hop before was seen "
            "with it right");
  EXPECT_THAT(breaches(RunBuilder(), {"payload: nowhere at 3"}),
              ElementsAre("expectation-failed 3 by ? at payload"));
}

TEST(AnExpectation, OfNothingElseNamesWhatThereIsBesides) {
  RunBuilder run;
  run.from(runtime_shim, departure, [](HopRecord& record) { put_row(record, directory_row(30)); });
  EXPECT_THAT(breaches(run, {"payload: s0 at 3, s1 at 4"}), IsEmpty());
  EXPECT_THAT(breaches(run, {"payload: s0 at 3, s1 at 4, nothing else"}),
              ElementsAre("expectation-failed 30 by runtime-shim at payload"));
  EXPECT_THAT(breaches(run, {"runtime-shim: s0 at 3, s1 at 4, nothing else"}), IsEmpty());
  EXPECT_THAT(breaches(RunBuilder(), {"payload: s0 at 3, nothing else"}),
              ElementsAre("expectation-failed 4 by launcher at payload"))
      << "it has opened that itself";
  EXPECT_THAT(breaches(RunBuilder(RunShape{.inherited = true}), {"payload: s0 at 3, nothing else"}),
              ElementsAre("expectation-failed 4 by ? at payload"));
}

TEST(AnExpectation, OfAHopThatWasNotSeenIsNeitherMetNorBroken) {
  RunBuilder run;
  run.drop(payload);
  const Diagnosis diagnosis = diagnosis_of(run, {"payload: s0 at 9"});
  EXPECT_THAT(diagnosis.findings, IsEmpty());
  EXPECT_THAT(diagnosis.not_seen, ElementsAre(payload));
}

// A payload that is somebody else's is seen a while after its exec: what it has opened itself is its own.
TEST(AnExpectation, LeavesAPayloadWhatIsCloseOnExec) {
  RunBuilder run(RunShape{.foreign = true});
  FdRow own = directory_row(20);
  own.close_on_exec = true;
  put_row(run.at(payload, running), own);
  EXPECT_THAT(breaches(run, {"payload: s0 at 3, s1 at 4, nothing else"}), IsEmpty());
}

std::string allowance_complaint(std::string_view text) {
  try {
    parse_allowance(text);
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "none";
}

TEST(AnAllowance, IsReadAsItIsWritten) {
  for (const std::string text : {"fd-leaked", "fd-leaked@payload", "fd-leaked:9", "fd-leaked@runtime-shim:9"})
    EXPECT_EQ(to_string(parse_allowance(text)), text);
  EXPECT_EQ(allowance_complaint(""), ": its ID is not that of a finding");
  EXPECT_EQ(allowance_complaint("leak"), "leak: its ID is not that of a finding");
  EXPECT_EQ(allowance_complaint("fd-leaked:x"), "fd-leaked:x: not ID[@HOP][:FD]");
  EXPECT_EQ(allowance_complaint("fd-leaked@conmon"),
            "fd-leaked@conmon: its HOP is not one of launcher, monitor, runtime-shim, payload");
}

TEST(AnAllowance, AllowsWhatItSaysAndNoMore) {
  Finding finding;
  finding.id = "fd-leaked";
  finding.hop = payload;
  finding.fd = 9;
  for (const std::string text : {"fd-leaked", "fd-leaked@payload", "fd-leaked:9", "fd-leaked@payload:9"})
    EXPECT_TRUE(allows(parse_allowance(text), finding)) << text;
  for (const std::string text : {"fd-retained", "fd-leaked@monitor", "fd-leaked:8"})
    EXPECT_FALSE(allows(parse_allowance(text), finding)) << text;
  EXPECT_EQ(to_string(allowance_for(finding)), "fd-leaked@payload:9");
}

// A run behind a conmon, which leaves its runtime variables of its own and SIGPIPE.
RunBuilder conmons_run() {
  RunBuilder run;
  for (HopRecord& record : run.records) {
    if (record.hop == monitor) record.exe = "/usr/bin/conmon";
  }
  run.from(monitor, departure, [](HopRecord& record) {
    record.environment["_OCI_SYNCPIPE"] = "3";
    record.ignored_signals = {13};
  });
  return run;
}

std::vector<std::string> known_in(const RunBuilder& run) {
  std::vector<std::string> known;
  for (const Finding& finding : judge(run.records).findings)
    known.push_back(finding.id + ' ' + finding.known);
  return known;
}

TEST(WhatIsKnown, OfConmonIsItsVariablesAndItsSigpipe) {
  EXPECT_THAT(known_in(conmons_run()), ElementsAre("env-leaked conmon 2.1", "signal-ignored conmon 2.1"));
  RunBuilder more = conmons_run();
  more.from(monitor, departure, [](HopRecord& record) { record.ignored_signals = {1, 13}; });
  EXPECT_THAT(known_in(more), ElementsAre("env-leaked conmon 2.1", "signal-ignored "));
  RunBuilder another = conmons_run();
  another.at(monitor, arrival).exe = "/usr/bin/monitor";
  EXPECT_THAT(known_in(another), ElementsAre("env-leaked ", "signal-ignored "));
}

}  // namespace
}  // namespace fdchain::test
