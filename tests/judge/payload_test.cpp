// What the payload makes of what it was given: each rule of judge/rules/payload.cpp.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/judge/run_builder.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using enum Hop;
using enum Moment;

FdRow queue_row(int number, int index, int waiting) {
  FdRow row = socket_row(number, index);
  row.socket->waiting = waiting;
  return row;
}

TEST(WaitingClients, AreThePayloadsToAccept) {
  RunBuilder run;
  run.at(monitor, after_exit).queues = {queue_row(3, 0, 1), queue_row(4, 1, 2)};
  EXPECT_THAT(run.findings(), ElementsAre("client-waiting 3 by payload at payload"));
  const Finding finding = judge(run.records).findings[0];
  EXPECT_EQ(finding.severity, Severity::warning);
  EXPECT_EQ(finding.socket, "socket s0 (TCP 127.0.0.1:80)");
  EXPECT_EQ(finding.culprit_pid, payload_pid);
  EXPECT_EQ(finding.evidence,
            "at the end 1 client waited on s0: the payload did not accept it; at the end 2 clients waited on "
            "s1: the payload did not accept them");
}

TEST(WaitingClients, AreNoFindingWhenNobodyWaits) {
  RunBuilder run;
  run.at(monitor, after_exit).queues = {queue_row(3, 0, 0)};
  EXPECT_THAT(run.findings(), IsEmpty());
}

// A payload can accept nobody on what it did not get, or was not told of.
TEST(WaitingClients, HaveNoSecondCause) {
  RunBuilder lost;
  lost.from(monitor, departure, [](HopRecord& record) { remove_row(record, 3); });
  lost.at(monitor, after_exit).queues = {queue_row(3, 0, 1)};
  EXPECT_THAT(lost.findings(), ElementsAre("fd-lost-closed 3 by monitor at runtime-shim"));
}

// --- a payload that was followed

constexpr pid_t child_pid = 306;

/// A run in which the payload, a script, was followed.
class Followed : public ::testing::Test {
 protected:
  Followed() {
    HopRecord& script = run.at(payload, arrival);
    script.seen_by = launcher;
    script.program = "entry.sh";
  }

  /// A process of the payload's: told and given what the payload was.
  HopRecord& see(Moment moment, pid_t pid, const std::string& program,
                 std::optional<std::string> ended = {}) {
    HopRecord record = run.at(payload, arrival);
    record.moment = moment;
    record.pid = record.pid_in_namespace = pid;
    record.program = program;
    record.exe = "/usr/bin/" + program;
    record.ended = std::move(ended);
    run.records.push_back(std::move(record));
    return run.records.back();
  }

  [[nodiscard]] Finding only_finding() const {
    const Diagnosis diagnosis = judge(run.records);
    return diagnosis.findings.size() == 1 ? diagnosis.findings.front() : Finding{};
  }

  RunBuilder run;
};

TEST_F(Followed, APayloadThatExecsAndEndsIsHealthy) {
  see(payload_exec, child_pid, "mkdir");
  see(payload_end, child_pid, "mkdir", "exited with status 1");
  see(payload_exec, payload_pid, "server");
  see(payload_exec, child_pid + 1, "helper");
  see(payload_end, child_pid + 1, "helper", "exited with status 0");
  see(payload_end, payload_pid, "server", "exited with status 1");
  EXPECT_THAT(run.findings(), IsEmpty());
}

TEST_F(Followed, ASocketThatAScriptClosedIsThePayloads) {
  remove_row(see(payload_exec, payload_pid, "server"), 3);
  EXPECT_THAT(run.findings(), ElementsAre("payload-lost-socket 3 by payload at payload"));
  const Finding finding = only_finding();
  EXPECT_EQ(finding.severity, Severity::error);
  EXPECT_EQ(finding.culprit_program, "entry.sh");
  EXPECT_EQ(finding.culprit_pid, payload_pid);
  EXPECT_EQ(finding.evidence,
            "entry.sh (pid 301) closed 3, moved it, or made it close-on-exec, before its second exec: server "
            "is told of "
            "socket s0 (TCP 127.0.0.1:80) and does not have it there");
}

TEST_F(Followed, ASocketThatNobodyIsToldOfAnyMoreIsNotLost) {
  HopRecord& server = see(payload_exec, payload_pid, "server");
  server.environment.clear();
  remove_row(server, 3);
  EXPECT_THAT(run.findings(), IsEmpty());
}

TEST_F(Followed, AScriptThatForksInsteadOfExecingIsTold) {
  see(payload_exec, child_pid, "god");
  see(payload_end, child_pid, "god", "exited with status 4");
  see(payload_end, payload_pid, "entry.sh", "exited with status 4");
  EXPECT_THAT(run.findings(), ElementsAre("payload-forked 3 by payload at payload"));
  const Finding finding = only_finding();
  EXPECT_EQ(finding.evidence,
            "entry.sh (pid 301) forked; god (pid 306), if it was to adopt the sockets, wants LISTEN_PID=306 "
            "and it names 301");
  EXPECT_EQ(finding.advice, "if it is the daemon, let entry.sh exec it: `exec god`");
}

// What it was to adopt it has not, or its client would not wait.
TEST_F(Followed, AScriptThatForksAndLetsAClientWaitIsTold) {
  see(payload_exec, child_pid, "god");
  see(payload_end, payload_pid, "entry.sh", "was killed by signal 15 (Terminated)");
  EXPECT_THAT(run.findings(), IsEmpty());
  run.at(monitor, after_exit).queues = {queue_row(3, 0, 1)};
  EXPECT_THAT(run.findings(), UnorderedElementsAre("payload-forked 3 by payload at payload",
                                                   "client-waiting 3 by payload at payload"));
}

TEST_F(Followed, WhatLivesOnIsADaemonOrAChildThatHolds) {
  see(payload_end, payload_pid, "entry.sh", "exited with status 0");
  see(payload_end, child_pid, "helper");
  EXPECT_THAT(run.findings(), ElementsAre("payload-child-holds by payload at payload"));
  EXPECT_EQ(only_finding().severity, Severity::warning);
  EXPECT_EQ(
      only_finding().evidence,
      "entry.sh (pid 301) exited with status 0, and its child helper (pid 306) still holds socket s0 (TCP "
      "127.0.0.1:80), socket s1 (TCP 127.0.0.1:80)");
  run.records.back().sid = child_pid;
  EXPECT_THAT(run.findings(), ElementsAre("payload-daemonized by payload at payload"));
  EXPECT_EQ(only_finding().severity, Severity::error);
  EXPECT_EQ(
      only_finding().evidence,
      "entry.sh (pid 301) exited with status 0, and helper (pid 306) lives on in a session of its own with "
      "socket s0 (TCP 127.0.0.1:80), socket s1 (TCP 127.0.0.1:80)");
  run.records.back().fds.clear();
  EXPECT_THAT(run.findings(), IsEmpty()) << "another program, without the sockets";
}

TEST(Unfollowed, AFailureSaysHowItCanBeSeen) {
  RunBuilder run;
  run.at(monitor, after_exit).ended = "exited with status 4";
  EXPECT_THAT(
      judge(run.records).unknown,
      ElementsAre("what payload did after its exec: it exited with status 4; --follow-payload shows it"));
}

}  // namespace
}  // namespace fdchain::test
