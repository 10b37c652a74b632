// `launcher trace`: the real podman and whatever it starts, followed and judged; and the half of the matrix
// in which podman is the launcher.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fdchain/judge/judge.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/socket/listening_socket.h"
#include "fdchain/system/trace/trace_reader.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/client.h"
#include "integration/harness/wait_until.h"
#include "integration/real/monitored.h"
#include "integration/real/podman.h"

namespace fdchain::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

// An instrumented program of ours looks for leaks at its end by tracing itself, and cannot while it is
// followed.

class TraceCommand : public ChainTest {
 protected:
  /// `launcher trace OPTIONS -- COMMAND`
  static Words traced(const Words& options, const Words& command) {
    Words words{bin("launcher"), "trace"};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }

  static Result trace(const Words& options, const Words& command) {
    Start start;
    start.argv = traced(options, command);
    start.environment = {no_leak_check};
    return run(start);
  }

  /// `ID by CULPRIT at HOP` of each run that was traced.
  [[nodiscard]] std::vector<Words> verdicts() const {
    std::vector<Words> all;
    for (const auto& records : read_trace(file("trace")).runs) {
      Words words;
      for (const Finding& finding : judge(records).findings) {
        words.push_back(finding.id + " by " +
                        (finding.culprit ? std::string(to_string(*finding.culprit)) : "nobody") + " at " +
                        std::string(to_string(finding.hop)));
      }
      all.push_back(std::move(words));
    }
    return all;
  }
};

// --- the command

TEST_F(TraceCommand, HasTheCommandsStatusAndOutput) {
  const Result result = trace({}, {"sh", "-c", "echo out; exit 3"});
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "launcher: no container was started, or none was seen: there is nothing to judge\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(3));
  EXPECT_EQ(trace({}, {"sh", "-c", "kill -9 $$"}).status, WaitStatus::for_exit_code(128 + SIGKILL));
}

TEST_F(TraceCommand, SaysWhyACommandCannotBeHad) {
  EXPECT_EQ(trace({}, {"nonexistent-program"}).status, WaitStatus::for_exit_code(127));
  EXPECT_EQ(trace({}, {"/etc/passwd"}).status, WaitStatus::for_exit_code(126));
  EXPECT_EQ(trace({}, {}).err, "launcher: a COMMAND is needed; see --help\n");
  EXPECT_EQ(trace({"--report", "xml"}, {"true"}).status, WaitStatus::for_exit_code(125));
}

TEST_F(TraceCommand, SaysThatWhoIsTracedAlreadyCannotBe) {
  const Result result = trace({}, traced({}, {"true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err, StartsWith("launcher: nobody can be followed: ptrace PTRACE_SEIZE: Operation not "
                                     "permitted\n"));
}

TEST_F(TraceCommand, RelaysAHangUpOfTheTerminal) {
  OwnedFd terminal(check(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "posix_openpt"));
  check(::unlockpt(terminal.get()), "unlockpt");
  const OwnedFd side(
      check(::ioctl(terminal.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), "TIOCGPTPEER"));
  Start start;
  start.argv = traced({}, {"sh", "-c", "trap 'exit 7' HUP; echo up; while :; do sleep 0.01; done"});
  start.argv.insert(start.argv.begin(), {"setsid", "--ctty"});
  start.pass = {{side.get(), 0}};
  Program program(start);
  program.wait_for_out("up");
  terminal.close();
  EXPECT_EQ(program.finish().status, WaitStatus::for_exit_code(7));
}

TEST_F(TraceCommand, RelaysSignals) {
  Start start;
  start.argv = traced({}, {"sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done"});
  Program program(start);
  program.wait_for_out("up");
  program.signal(SIGTERM);
  EXPECT_EQ(program.finish().status, WaitStatus::for_exit_code(7));
}

// What came stays as it came, but that the sockets are the command's now.
TEST_F(TraceCommand, ChangesNothingForTheCommand) {
  Start start;
  const Opened socket = open_listening(parse_listen_spec("unix:" + file("socket")));
  const OwnedFd stray(check(::open("/dev/zero", O_RDONLY | O_CLOEXEC), "open", "/dev/zero"));
  start.environment = {"LISTEN_FDS=1", "LISTEN_FDNAMES=web"};
  start.pass = {{socket.fd.get(), 3}, {stray.get(), 9}};
  start.closed = {0};
  const Words report{bin("payload"), "report"};
  start.argv = as_activated(report);
  const PayloadReport plain(run(start).out);
  start.argv = as_activated(traced({}, report));
  const PayloadReport followed(run(start).out);
  EXPECT_EQ(followed.adopted(), 1);
  EXPECT_EQ(followed.numbers(), plain.numbers());
  EXPECT_EQ(followed.identity(3), plain.identity(3));
  EXPECT_EQ(followed.type(9), plain.type(9));
}

// What named `launcher` names the command; what named another process is as it was.
TEST_F(TraceCommand, NamesTheCommandWhereItWasNamedItself) {
  const std::string ask = "echo $$ $WATCHDOG_PID $SYSTEMD_EXEC_PID";
  Start start;
  start.argv = traced({}, {"sh", "-c", ask});
  start.argv.insert(start.argv.begin(), {"sh", "-c", "export WATCHDOG_PID=$$; exec \"$@\"", "sh"});
  start.environment = {"SYSTEMD_EXEC_PID=7"};
  const std::string said = run(start).out;
  const std::string pid = said.substr(0, said.find(' '));
  EXPECT_EQ(said, pid + ' ' + pid + " 7\n");
}

TEST_F(TraceCommand, FollowsOurOwnChainToo) {
  Start start;
  const Opened socket = open_listening(parse_listen_spec("unix:" + file("socket")));
  start.environment = {"LISTEN_FDS=1", "LISTEN_FDNAMES=web", no_leak_check};
  start.pass = {{socket.fd.get(), 3}};
  start.argv =
      as_activated(traced({"--trace", file("trace"), "--check"}, {bin("launcher"), "payload", "report"}));
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(verdicts(), ElementsAre(IsEmpty()));
  Words hops;
  const TraceContent content = read_trace(file("trace"));
  for (const HopRecord& record : content.runs.front())
    hops.push_back(std::string(to_string(record.hop)) + ' ' + std::string(to_string(record.moment)));
  EXPECT_THAT(hops, ElementsAre("launcher arrival", "monitor arrival", "runtime-shim arrival",
                                "payload arrival", "monitor after-exit", "launcher after-exit"));
}

TEST_F(TraceCommand, KeepsTheDescriptorOfItsReport) {
  Pipe pipe;
  Start start;
  start.environment = {no_leak_check};
  start.pass = {{pipe.write_end.get(), 9}};
  start.argv = traced({"--report", "json:fd:9"}, {bin("launcher"), "payload", "report"});
  start.argv.insert(start.argv.end() - 3, {"sh", "-c", "ls -l /proc/$$/fd >&2; exec \"$@\"", "sh"});
  const Result result = run(start);
  pipe.write_end.close();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(result.err, ::testing::AllOf(HasSubstr(" 2 -> "), ::testing::Not(HasSubstr(" 9 -> "))));
  EXPECT_TRUE(boost::json::parse(read_all(pipe.read_end.get())).at("findings").as_array().empty());
}

TEST_F(TraceCommand, CheckIsAnErrorOfTheJudges) {
  const Words leaks{bin("launcher"), "--fault", "monitor:leak-file=9", "payload", "report"};
  EXPECT_EQ(trace({"--check"}, leaks).status, WaitStatus::for_exit_code(123));
  EXPECT_EQ(trace({"--check=critical"}, leaks).status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(trace({"--check=warning"}, leaks).status, WaitStatus::for_exit_code(123));
  const Words not_found{bin("launcher"), "nonexistent-program"};
  EXPECT_EQ(trace({"--check"}, not_found).status, WaitStatus::for_exit_code(127));
}

TEST_F(TraceCommand, ARuntimeNeedsNoMonitor) {
  write_bundle(directory_.path(), {{"/bin/echo"}, false, {}});
  Start start;
  start.argv = with_cgroup2(traced(
      {"--trace", file("trace"), "--report", "text"},
      {"crun", "--cgroup-manager=disabled", "--root", file("states"), "run", "-b", directory_.path(), "c"}));
  const Result result = run(start);
  ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("runtime-shim"), HasSubstr("echo")));
  EXPECT_THAT(verdicts(), ElementsAre(IsEmpty()));
}

TEST_F(TraceCommand, NothingToJudgeIsNoSuccessOfACheck) {
  EXPECT_EQ(trace({"--check"}, {"true"}).status, WaitStatus::for_exit_code(122));
  EXPECT_EQ(trace({"--check"}, {"sh", "-c", "exit 3"}).status, WaitStatus::for_exit_code(122));
  EXPECT_EQ(trace({"--check"}, {"sh", "-c", "exit 125"}).status, WaitStatus::for_exit_code(125));
}

TEST_F(TraceCommand, ATraceThatCannotBeWrittenIsNoSuccess) {
  const Words chain{bin("launcher"), "payload", "report"};
  const Result nowhere = trace({"--trace", file("none/trace")}, chain);
  EXPECT_EQ(nowhere.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(nowhere.err, "launcher: --trace " + file("none/trace") + ": No such file or directory\n");
  const Result full = trace({"--trace", "/dev/full"}, chain);
  EXPECT_EQ(full.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(full.err, HasSubstr("launcher: the following ended early: "));
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
}

// Who follows: the launcher's child that runs the launcher's program.
pid_t follower_of(pid_t launcher) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code gone;
    const auto exe = std::filesystem::read_symlink(entry.path() / "exe", gone);
    if (gone || exe != bin("launcher") || read_file(entry.path() / "comm") == "caretaker\n") continue;
    if (read_file(entry.path() / "status").find("PPid:\t" + std::to_string(launcher) + '\n') !=
        std::string::npos)
      return std::stoi(name);
  }
  return 0;
}

TEST_F(TraceCommand, WhoFollowsIsOutOfTheWayAndItsDeathIsTold) {
  Start start;
  const Opened socket = open_listening(parse_listen_spec("unix:" + file("socket")));
  start.pass = {{socket.fd.get(), 3}};
  start.argv = traced({}, {"sh", "-c", "exec 3>&-; echo up; exec sleep 100"});
  start.environment = {no_leak_check};
  Program program(start);
  program.wait_for_out("up");
  const pid_t follower = follower_of(program.pid());
  ASSERT_NE(follower, 0);
  EXPECT_EQ(::getsid(follower), follower) << "what stops a job must not stop it";
  const std::string listener = "socket:[" + std::to_string(observe_fd(socket.fd.get())->inode) + ']';
  const auto holds_listener = [&](pid_t pid) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry.path(), gone) == listener) return true;
    }
    return false;
  };
  EXPECT_FALSE(holds_listener(follower));
  // The command may be quicker than the launcher with what it lets go of.
  wait_until("the launcher to let go of the socket", [&] { return !holds_listener(program.pid()); });
  ::kill(follower, SIGKILL);
  program.signal(SIGTERM);
  const Result result = program.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err, HasSubstr("launcher: the following ended early: who did it was ended"));
}

// The payload is none the wiser, and keeps its status.
TEST_F(TraceCommand, WhoFollowsAPayloadCanBeKilled) {
  Start start = launcher({"--trace", file("trace"), "--follow-payload", "sh", "-c",
                          "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done"});
  start.environment = {no_leak_check};
  Program program(start);
  program.wait_for_out("up");
  const pid_t follower = follower_of(program.pid());
  ASSERT_NE(follower, 0);
  ::kill(follower, SIGKILL);
  program.signal(SIGTERM);
  const Result result = program.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(7));
  EXPECT_THAT(result.err, HasSubstr("the following ended early: who did it was ended"));
}

TEST_F(TraceCommand, KilledLeavesNoFile) {
  std::filesystem::create_directory(file("tmp"));
  Start start = launcher({"trace", "sh", "-c", "echo $$ up; exec sleep 100"});
  start.environment = {no_leak_check, "TMPDIR=" + file("tmp")};
  Program program(start);
  const pid_t command = std::stoi(program.wait_for_out(" up\n"));
  program.signal(SIGKILL);
  ::kill(command, SIGKILL);
  EXPECT_EQ(program.finish().status, WaitStatus::for_signal(SIGKILL));
  expect_nobody_left();
  EXPECT_TRUE(std::filesystem::is_empty(file("tmp")));
}

// One that fails makes no container, and does not hide the next.
TEST_F(TraceCommand, EachRuntimeIsARunOfItsOwn) {
  write_bundle(directory_.path(), {{"/bin/echo"}, false, {}});
  Start start;
  const std::string runc = "runc --root " + file("states") + " run -b ";
  start.argv = traced({"--trace", file("trace"), "--report", "json:" + file("report")},
                      {"sh", "-c", runc + "/none a; " + runc + directory_.path() + " b; true"});
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(0));
  std::vector<std::size_t> records;
  for (const auto& one : read_trace(file("trace")).runs) records.push_back(one.size());
  EXPECT_THAT(records, ElementsAre(2, 3)) << "launcher and runtime, and the payload of the second";
  const std::string report = read_file(file("report"));
  EXPECT_EQ(std::ranges::count(report, '\n'), 2) << report;
}

// --- podman

struct Mixture {
  const char* conmon;
  const char* runtime;
};

std::string name_of(const ::testing::TestParamInfo<Mixture>& info) {
  std::string name = std::filesystem::path(info.param.conmon).filename().string() + "_" +
                     std::filesystem::path(info.param.runtime).filename().string();
  std::erase(name, '-');
  return name;
}

std::string join(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += word + ' ';
  return text;
}

std::string path_of(const char* program) { return *program == '/' ? program : bin(program); }

class UnderTrace : public TraceCommand, public ::testing::WithParamInterface<Mixture> {
 protected:
  UnderTrace() {
    for (const char* const name : {"web", "admin"})
      sockets_.push_back(open_listening(parse_listen_spec("unix:" + file(name))));
  }

  /// As an activator starts it, with two sockets.
  [[nodiscard]] Start activated(const Words& command) const {
    Start start;
    start.argv = as_activated(podman_.placed(traced({"--trace", file("trace")}, command)));
    start.environment = {"LISTEN_FDS=2", "LISTEN_FDNAMES=web:admin", no_leak_check};
    for (int i = 0; i < 2; ++i) start.pass.emplace_back(socket(i).get(), 3 + i);
    return start;
  }

  [[nodiscard]] const OwnedFd& socket(int i) const { return sockets_[static_cast<std::size_t>(i)].fd; }

  /// What this conmon does to whatever runtime it starts, with `more` in its place.
  [[nodiscard]] static Words verdict_with(Words before = {}, Words after = {}) {
    if (GetParam().conmon == std::string(real_conmon))
      before.insert(before.end(),
                    {"env-leaked by monitor at runtime-shim", "signal-ignored by monitor at runtime-shim"});
    before.insert(before.end(), after.begin(), after.end());
    return before;
  }

  /// What each hop ran when it started.
  [[nodiscard]] Words programs(Moment moment = Moment::arrival) const {
    Words words;
    const TraceContent content = read_trace(file("trace"));
    for (const HopRecord& record : content.runs.front()) {
      if (record.moment == moment) words.push_back(record.exe);
    }
    return words;
  }

  static bool runs(const char* runtime) { return GetParam().runtime == std::string(runtime); }

  Podman podman_{directory_.path(), path_of(GetParam().conmon), path_of(GetParam().runtime)};
  std::vector<Opened> sockets_;
};

TEST_P(UnderTrace, ThePayloadHasTheVerySocketsAndTheJudgeKnowsItsHops) {
  const Result result = run(activated(podman_.run({"--rm"}, {"/payload", "report"})));
  ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 2);
  EXPECT_EQ(report.pid(), 1);
  EXPECT_THAT(report.names(), ElementsAre("web", "admin"));
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(report.identity(3 + i), identity_of(*observe_fd(socket(i).get())));
  EXPECT_THAT(verdicts(), ElementsAre(ElementsAreArray(verdict_with())));
  EXPECT_THAT(programs(), ElementsAre("/usr/bin/podman", path_of(GetParam().conmon),
                                      path_of(GetParam().runtime), "/payload"));
}

TEST_P(UnderTrace, AClientThatNobodyAcceptedIsTold) {
  const Client client("unix:" + file("web"));
  EXPECT_EQ(run(activated(podman_.run({"--rm"}, {"sh", "-c", ":"}))).status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(verdicts(),
              ElementsAre(ElementsAreArray(verdict_with({}, {"client-waiting by payload at payload"}))));
}

TEST_P(UnderTrace, APayloadThatIsFollowedIsJudged) {
  std::ofstream(directory_.path() + "/root/entry.sh") << "#!/bin/sh\nexec 3>&-\nexec /payload report\n";
  std::filesystem::permissions(directory_.path() + "/root/entry.sh", std::filesystem::perms::owner_all);
  Start start = activated(podman_.run({"--rm"}, {"/entry.sh"}));
  start.argv.insert(std::ranges::find(start.argv, "trace") + 1, "--follow-payload");
  run(start);
  EXPECT_THAT(verdicts(),
              ElementsAre(ElementsAreArray(verdict_with({}, {"payload-lost-socket by payload at payload"}))));
  start.argv.erase(std::ranges::find(start.argv, "--follow-payload"));
  std::filesystem::remove(file("trace"));
  run(start);
  EXPECT_THAT(verdicts(), ElementsAre(ElementsAreArray(verdict_with())));
}

TEST_P(UnderTrace, ABystanderThatKeepsTheSocketIsNamed) {
  Words script{"sh", "-c",
               "sleep 600 >/dev/null 2>&1 & echo $! >" + file("pid") +
                   "; until grep -q sleep /proc/$!/comm; do :; done; exec \"$@\"",
               "sh"};
  const Words words = podman_.run({"--rm"}, {"sh", "-c", ":"});
  script.insert(script.end(), words.begin(), words.end());
  run(activated(script));
  const pid_t bystander = std::stoi(read_file(file("pid")));
  EXPECT_THAT(verdicts(),
              ElementsAre(ElementsAreArray(verdict_with({"fd-retained by launcher at launcher"}))));
  const TraceContent content = read_trace(file("trace"));
  const Diagnosis diagnosis = judge(content.runs.front());
  EXPECT_THAT(diagnosis.findings.front().evidence,
              StartsWith("sleep (pid " + std::to_string(bystander) +
                         "), started by the launcher, holds socket web "));
  ::kill(bystander, SIGKILL);
}

TEST_P(UnderTrace, ACallersStrayIsPodmansToPassAndTheRuntimesToStop) {
  Start start = activated(podman_.run({"--rm"}, {"/payload", "report"}));
  const OwnedFd stray(check(::open("/dev/zero", O_RDONLY | O_CLOEXEC), "open", "/dev/zero"));
  start.pass.emplace_back(stray.get(), 9);
  EXPECT_THAT(PayloadReport(run(start).out).numbers(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(verdicts(), ElementsAre(ElementsAreArray(verdict_with({"fd-leaked by launcher at monitor"}))));
}

TEST_P(UnderTrace, WhatIsPreservedIsNoFinding) {
  Start start = activated(podman_.run({"--rm", "--preserve-fds=3"}, {"/payload", "report"}));
  const OwnedFd third(check(::open("/dev/zero", O_RDONLY | O_CLOEXEC), "open", "/dev/zero"));
  start.pass.emplace_back(third.get(), 5);
  EXPECT_THAT(PayloadReport(run(start).out).numbers(), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(verdicts(), ElementsAre(ElementsAreArray(verdict_with())));
}

// podman since 4.8 gives conmon its own LISTEN_*; what it gives can be configured.
TEST_P(UnderTrace, WhatIsSaidTwiceIsTheRuntimesToCountOnce) {
  std::ofstream(file("containers.conf"))
      << "[engine]\nconmon_env_vars = [\"LISTEN_FDS=2\", \"LISTEN_PID=999999\"]\n";
  Start start = activated(podman_.run({"--rm", "--log-driver=k8s-file"}, {"/payload", "report"}));
  start.environment.push_back("CONTAINERS_CONF=" + file("containers.conf"));
  const PayloadReport report(run(start).out);
  EXPECT_EQ(report.adopted(), 2);
  const bool doubles = runs("/usr/bin/crun");
  EXPECT_EQ(report.numbers().size(), doubles ? 6U : 5U);
  EXPECT_THAT(verdicts(),
              ElementsAre(ElementsAreArray(verdict_with(
                  {"listen-pid-stale by launcher at monitor"},
                  doubles ? Words{"preserve-count-wrong by runtime-shim at payload"} : Words{}))));
}

TEST_P(UnderTrace, ADetachedContainerIsLetGoOf) {
  Start start = activated(podman_.run({"-d", "--name", "c"}, {"sleep", "100"}));
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(verdicts(), ElementsAre(ElementsAreArray(verdict_with())));
  start.pass.clear();
  start.environment.clear();
  start.argv = podman_.placed(podman_.command({"inspect", "--format", "{{.State.Status}}", "c"}));
  EXPECT_EQ(run(start).out, "running\n");
  start.argv = podman_.placed(podman_.command({"rm", "--force", "--time", "0", "c"}));
  run(start);
}

TEST_P(UnderTrace, EachContainerIsARunOfItsOwn) {
  Start start;
  const Words words = podman_.run({"--rm"}, {"echo", "hello"});
  Words twice{"sh", "-c", "\"$@\" && \"$@\"", "sh"};
  twice.insert(twice.end(), words.begin(), words.end());
  start.environment = {no_leak_check};
  start.argv = podman_.placed(traced({"--trace", file("trace")}, twice));
  EXPECT_EQ(run(start).out, "hello\nhello\n");
  EXPECT_THAT(verdicts(), ElementsAre(ElementsAreArray(verdict_with()), ElementsAreArray(verdict_with())));
}

TEST_P(UnderTrace, AnExecIsARunOfItsOwnToo) {
  Start start;
  const Words words = podman_.run({"-d", "--name", "c"}, {"sleep", "100"});
  Words script{"sh", "-c", "\"$@\" >/dev/null && " + join(podman_.command({"exec", "c", "echo", "in"})),
               "sh"};
  script.insert(script.end(), words.begin(), words.end());
  start.argv = podman_.placed(traced({"--trace", file("trace")}, script));
  start.environment = {no_leak_check};
  EXPECT_EQ(run(start).out, "in\n");
  Words payloads;
  for (const auto& records : read_trace(file("trace")).runs) {
    for (const HopRecord& record : records) {
      if (record.hop == Hop::payload) payloads.push_back(record.exe);
    }
  }
  EXPECT_THAT(payloads, ElementsAre("/bin/busybox", "/bin/busybox"));
  start.argv = podman_.placed(podman_.command({"rm", "--force", "--time", "0", "c"}));
  run(start);
}

// Whatever else a script in conmon's place does, the runtime is the runtime.
TEST_P(UnderTrace, AScriptMayStandInForConmon) {
  for (const std::string way : {"exec ", ""}) {
    write_script(file("conmon"), "/bin/true\n" + way + path_of(GetParam().conmon) + " \"$@\"\n");
    std::filesystem::remove(file("trace"));
    Words words = podman_.run({"--rm"}, {"/payload", "report"});
    *(std::ranges::find(words, "--conmon") + 1) = file("conmon");
    EXPECT_EQ(PayloadReport(run(activated(words)).out).adopted(), 2);
    EXPECT_THAT(programs(), ElementsAre("/usr/bin/podman", path_of(GetParam().conmon),
                                        path_of(GetParam().runtime), "/payload"));
    EXPECT_THAT(programs(Moment::exec), ElementsAre(std::filesystem::canonical("/bin/sh").native()));
  }
}

// A real daemon at the end: it serves who connects to the activator's socket.
TEST_P(UnderTrace, ARealDaemonServesOnItsSocket) {
  Start start = activated(
      podman_.run({"--rm", "-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro"},
                  {"/usr/bin/dbus-daemon", "--session", "--nofork", "--nopidfile",
                   "--address=systemd:", "--print-address"}));
  start.environment = {"LISTEN_FDS=1", "LISTEN_FDNAMES=bus", no_leak_check};
  start.pass.resize(1);
  Program chain(start);
  chain.wait_for_out("unix:path=");
  Start client;
  client.argv = {"dbus-send",
                 "--bus=unix:path=" + file("web"),
                 "--print-reply",
                 "--dest=org.freedesktop.DBus",
                 "/org/freedesktop/DBus",
                 "org.freedesktop.DBus.GetId"};
  const Result answer = run(client);
  EXPECT_EQ(answer.status, WaitStatus::for_exit_code(0)) << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("string"));
  chain.signal(SIGTERM);
  chain.finish();
  EXPECT_THAT(verdicts(), ElementsAre(ElementsAreArray(verdict_with())));
}

// --- podman's API service

class ApiService : public TraceCommand {
 protected:
  /// What is answered to a request; a connection each.
  [[nodiscard]] std::string ask(const std::string& request, const std::string& body = "") const {
    const Client client("unix:" + file("api"));
    client.send(request + " HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
    std::string answer;
    for (std::string piece = client.receive(); !piece.empty(); piece = client.receive()) answer += piece;
    return answer;
  }

  void run_container() const {
    constexpr const char* limits =
        R"([{"type":"NOFILE","soft":1000,"hard":1000},{"type":"NPROC","soft":1000,"hard":1000}])";
    const std::string containers = "/v4.0.0/libpod/containers/";
    EXPECT_THAT(ask("POST " + containers + "create",
                    R"({"name":"c","command":["/bin/sh","-c","true"],"netns":{"nsmode":"none"},"rootfs":")" +
                        file("root") + R"(","r_limits":)" + limits + "}"),
                HasSubstr(" 201 "));
    EXPECT_THAT(ask("POST " + containers + "c/start"), HasSubstr(" 204 "));
    EXPECT_THAT(ask("POST " + containers + "c/wait"), HasSubstr(" 200 "));
    EXPECT_THAT(ask("DELETE " + containers + "c?force=true"), HasSubstr(" 200 "));
  }

  Podman podman_{directory_.path(), real_conmon, "/usr/sbin/runc"};
};

// The socket is the service's own: no container is to get it, and none does.
TEST_F(ApiService, KeepsItsSocketAndThatIsNoFinding) {
  const Opened socket = open_listening(parse_listen_spec("unix:" + file("api")));
  Start start;
  start.argv =
      as_activated(podman_.placed(traced({"--trace", file("trace"), "--report", "text", "--check=note"},
                                         podman_.command({"system", "service", "--time", "0"}))));
  start.environment = {"LISTEN_FDS=1", no_leak_check};
  start.pass = {{socket.fd.get(), 3}};
  Program service(start);
  run_container();
  service.signal(SIGTERM);
  const Result result = service.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  EXPECT_THAT(result.err, HasSubstr("\nno findings but what is known\n\n"
                                    "known of conmon 2.1: env-leaked, signal-ignored\n"));
  EXPECT_THAT(verdicts(), ElementsAre(ElementsAre("env-leaked by monitor at runtime-shim",
                                                  "signal-ignored by monitor at runtime-shim")));
}

INSTANTIATE_TEST_SUITE_P(
    All, UnderTrace,
    ::testing::Values(Mixture{real_conmon, "/usr/bin/crun"}, Mixture{real_conmon, "/usr/sbin/runc"},
                      Mixture{real_conmon, "runtime-shim"}, Mixture{"monitor", "/usr/bin/crun"},
                      Mixture{"monitor", "/usr/sbin/runc"}, Mixture{"monitor", "runtime-shim"}),
    name_of);

}  // namespace
}  // namespace fdchain::test
