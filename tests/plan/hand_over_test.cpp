#include "fdchain/plan/hand_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "fdchain/model/variables.h"
#include "fdchain/plan/roles.h"

namespace fdchain {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> words(const HandOver& next) {
  std::vector<std::string> result;
  for (const PlannedStep& planned : plan_steps(next))
    result.push_back(to_string(planned.step) + ": " + planned.why);
  return result;
}

TEST(PlanSteps, OfAHealthyMonitorStartAreThese) {
  HandOver next;
  next.from = Hop::launcher;
  next.program = "/bin/monitor";
  next.passed = {{3, 3, 2, true, "socket"}, {9, 5, 1, false, "sync pipe"}, {11, 6, 1, false, "start pipe"}};
  next.name_pid = true;
  next.name_pidfdid = true;
  next.new_session = true;
  EXPECT_THAT(words(next), ElementsAre("new-session: the caller's terminal and session are not its business",
                                       "place 9 -> 5: sync pipe", "place 11 -> 6: start pipe",
                                       "seal 7 and above: nothing above is announced",
                                       "name-pid: LISTEN_PID names the process that shall adopt the sockets",
                                       "name-pidfdid: LISTEN_PIDFDID likewise",
                                       "unblock: signals were blocked over the fork", "exec: /bin/monitor"));
}

TEST(PlanSteps, SealEveryGapBetweenWhatIsPassed) {
  HandOver next;
  next.program = "/bin/true";
  next.passed = {{4, 4, 1, false, "socket"}, {20, 8, 2, false, "preserved"}, {0, 1, 1, false, "stdout"}};
  EXPECT_THAT(words(next), ElementsAre("keep 4: socket", "place 0 -> 1: stdout", "place 20 -> 8: preserved",
                                       "place 21 -> 9: preserved", "seal 3 to 3: nothing announced is here",
                                       "seal 5 to 7: nothing announced is here",
                                       "seal 10 and above: nothing above is announced",
                                       "unblock: signals were blocked over the fork", "exec: /bin/true"));
}

TEST(PlanSteps, SealEverythingWhenNothingIsPassed) {
  HandOver next;
  next.program = "/bin/true";
  EXPECT_THAT(words(next), ElementsAre("seal 3 and above: nothing above is announced",
                                       "unblock: signals were blocked over the fork", "exec: /bin/true"));
}

TEST(PlanSteps, NameTheNextProgramInEveryVariableThatNamedThisOne) {
  HandOver next;
  next.program = "/bin/true";
  next.name_pid = true;
  next.pid_variables = {"WATCHDOG_PID", "SYSTEMD_EXEC_PID"};
  EXPECT_THAT(words(next), ElementsAre("seal 3 and above: nothing above is announced",
                                       "name-pid: LISTEN_PID names the process that shall adopt the sockets",
                                       "name-pid: WATCHDOG_PID names the process for which it is meant",
                                       "name-pid: SYSTEMD_EXEC_PID names the process for which it is meant",
                                       "unblock: signals were blocked over the fork", "exec: /bin/true"));
}

TEST(PidVariables, AreThoseThatNameTheProcessItself) {
  const Environment environment({"WATCHDOG_PID=77", "SYSTEMD_EXEC_PID=78", "MAINPID=77", "MANAGERPID=77"});
  EXPECT_THAT(pid_variables_naming(environment, 77), ElementsAre("WATCHDOG_PID"));
  EXPECT_THAT(pid_variables_naming(environment, 78), ElementsAre("SYSTEMD_EXEC_PID"));
  EXPECT_THAT(pid_variables_naming(environment, 1), ElementsAre());
  EXPECT_THAT(pid_variables_naming(Environment({"WATCHDOG_PID=0x4d"}), 77), ElementsAre("WATCHDOG_PID"));
  EXPECT_THAT(pid_variables_naming(Environment({"WATCHDOG_PID=", "SYSTEMD_EXEC_PID=77x"}), 77),
              ElementsAre());
}

PayloadStart isolated_start() {
  PayloadStart start;
  start.received.sockets = 1;
  start.received.environment = Environment({"FDCHAIN_TRACE=run:/trace"});
  start.program = "/payload";
  start.ready_fd = 4;
  return start;
}

TEST(HandOverToPayload, InARootOfItsOwnIsEnteredAfterTheLastLookAtTheTable) {
  PayloadStart start = isolated_start();
  start.isolation.rootfs = "/srv/root";
  start.workdir = "/var";
  HandOver next = hand_over_to_payload(start);
  next.observe_departure = true;
  EXPECT_THAT(words(next),
              ElementsAre("seal 4 and above: nothing above is announced",
                          "name-pid: LISTEN_PID names the process that shall adopt the sockets",
                          "observe: what is held now is what the trace says of the departure",
                          "enter-root: /srv/root becomes /", "change-directory: /var",
                          "unblock: signals were blocked over the fork",
                          "tell-ready on 4: its end without this word would be a death, not an exec",
                          "exec: /payload"));
  EXPECT_EQ(next.environment.get("FDCHAIN_TRACE"), std::nullopt) << "the file cannot be reached from there";
}

TEST(HandOverToPayload, AsProcess1MountsItsProcForItselfAlone) {
  PayloadStart start = isolated_start();
  start.isolation.pid = true;
  start.parent_pidfd = 7;
  const HandOver next = hand_over_to_payload(start);
  EXPECT_THAT(words(next),
              ElementsAre("die-with-outer-parent: it must not outlive its parent",
                          "seal 4 and above: nothing above is announced",
                          "name-pid: LISTEN_PID names the process that shall adopt the sockets",
                          "own-mounts: what is mounted now is for the payload alone",
                          "mount-proc: /proc of the private pid namespace",
                          "unblock: signals were blocked over the fork",
                          "tell-ready on 4: its end without this word would be a death, not an exec",
                          "exec: /payload"));
}

TEST(HandOverToPayload, NamesItWhereItsHopWasNamedButNotWhereItIsToldOtherwise) {
  PayloadStart start = isolated_start();
  start.received.pid_variables = {"WATCHDOG_PID", "SYSTEMD_EXEC_PID"};
  start.assignments = {"WATCHDOG_PID=5"};
  const HandOver next = hand_over_to_payload(start);
  EXPECT_THAT(next.pid_variables, ElementsAre("SYSTEMD_EXEC_PID"));
  EXPECT_EQ(next.environment.get("WATCHDOG_PID"), "5");
}

TEST(HandOverToConmon, LeavesWhatNamesTheLauncherAsItCame) {
  MonitorStart start;
  start.received.environment = Environment({"WATCHDOG_PID=77"});
  start.received.pid_variables = {"WATCHDOG_PID"};
  start.command = {"/usr/bin/conmon"};
  const HandOver next = hand_over_to_conmon(start);
  EXPECT_THAT(next.pid_variables, ElementsAre());
  EXPECT_EQ(next.environment.get("WATCHDOG_PID"), "77");
}

TEST(HandOver, TheFirstUnusedNumberIsAboveEverySourceAndTarget) {
  HandOver next;
  EXPECT_EQ(next.first_unused_fd(), 3);
  next.passed = {{3, 3, 5, true, ""}, {40, 8, 1, false, ""}};
  EXPECT_EQ(next.first_unused_fd(), 41);
  next.passed.push_back({7, 90, 2, false, ""});
  EXPECT_EQ(next.first_unused_fd(), 92);
}

TEST(OciRuntime, GetsWhatItWasPromisedAndNoWordOfTheHandshake) {
  OciRuntimeStart start;
  start.environment = Environment(
      {"_OCI_SYNCPIPE=6", "LISTEN_FDS=3", "_OCI_STARTPIPE=7", "LISTEN_PID=77", "_OCI_ATTACHPIPE=8", "A=b"});
  start.announced = {{3, 3, 1, false, "promised to the container"},
                     {5, 5, 1, false, "promised to the container"}};
  start.command = {"/usr/bin/crun", "create", "id"};
  start.stdio = {10, 11, 12};
  start.monitor_pid = 99;
  const HandOver next = hand_over_to_oci_runtime(start);
  EXPECT_THAT(next.environment.assignments(), ElementsAre("LISTEN_FDS=3", "LISTEN_PID=77", "A=b"))
      << "LISTEN_* is between the caller and the runtime";
  EXPECT_THAT(
      words(next),
      ElementsAre("die-with-parent: it must not outlive its monitor", "keep 3: promised to the container",
                  "keep 5: promised to the container", "place 10 -> 0: stdin of the container",
                  "place 11 -> 1: stdout of the container", "place 12 -> 2: stderr of the container",
                  "seal 4 to 4: nothing announced is here", "seal 6 and above: nothing above is announced",
                  "unblock: signals were blocked over the fork", "exec: /usr/bin/crun"));
  start.name_pid = true;
  EXPECT_THAT(words(hand_over_to_oci_runtime(start)),
              ::testing::Contains("name-pid: LISTEN_PID names the process that shall adopt the sockets"));
}

TEST(ExitCommand, GetsNoDescriptorsAndNoWordOfAny) {
  const HandOver next =
      hand_over_to_exit_command(Environment({"_OCI_SYNCPIPE=6", "LISTEN_FDS=1", "LISTEN_PID=7",
                                             "LISTEN_FDNAMES=a", "LISTEN_PIDFDID=5", "A=b"}),
                                {"/usr/bin/podman", "container", "cleanup", "id"});
  EXPECT_THAT(next.environment.assignments(), ElementsAre("A=b"));
  EXPECT_THAT(words(next),
              ElementsAre("seal 3 and above: nothing above is announced",
                          "unblock: signals were blocked over the fork", "exec: /usr/bin/podman"));
}

}  // namespace
}  // namespace fdchain
