// A run from its start to its end: statuses, signals, logs, detaching, and what is left afterwards.

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>

#include "fdchain/system/sys.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/notify_socket.h"

namespace fdchain::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class Lifecycle : public ChainTest {};

Result run_shell(std::vector<std::string> options, const std::string& script) {
  options.insert(options.end(), {"sh", "-c", script});
  return run(launcher(options));
}

TEST_F(Lifecycle, ThePayloadsStatusIsTheLaunchers) {
  for (const int status : {0, 1, 7, 125, 255}) {
    const Result result = run_shell({}, "exit " + std::to_string(status));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(status));
    EXPECT_EQ(result.err, "");
  }
}

TEST_F(Lifecycle, ASignalThatEndsThePayloadIsNamed) {
  const Result result = run_shell({"--name", "echo"}, "kill -KILL $$");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(137));
  EXPECT_THAT(result.err,
              MatchesRegex("launcher: echo: payload \\(pid [0-9]+\\) was killed by signal 9 \\(Killed\\)\n"));
}

TEST_F(Lifecycle, StdinStdoutAndStderrPassThrough) {
  Start start = launcher({"sh", "-c", "cat; echo to stderr >&2"});
  start.input = "from stdin";
  const Result result = run(start);
  EXPECT_EQ(result.out, "from stdin");
  EXPECT_EQ(result.err, "to stderr\n");
}

TEST_F(Lifecycle, TheChainReadsOnTheCommandLineOfTheMonitor) {
  const Result result = run(launcher({"--workdir", "/", "sh", "-c", "tr '\\0' ' ' < /proc/$PPID/cmdline"}));
  EXPECT_EQ(result.out, bin("monitor") + " --log passthrough --runtime-sync-fd 3 -- " + bin("runtime-shim") +
                            " --sync-fd 3 --workdir / -- sh -c tr '\\0' ' ' < /proc/$PPID/cmdline ");
}

TEST_F(Lifecycle, EnvironmentAndDirectoryAreThePayloads) {
  const Result result = run_shell({"--env", "A=b c", "--env", "EMPTY=", "--workdir", directory_.path()},
                                  "echo \"$A,${EMPTY-unset}\"; pwd");
  EXPECT_EQ(result.out, "b c,\n" + directory_.path() + '\n');
}

TEST_F(Lifecycle, NoVariableOfTheHandshakeReachesThePayload) {
  EXPECT_EQ(run_shell({}, "env | grep -E '^(_OCI|LISTEN|FDCHAIN)'").status, WaitStatus::for_exit_code(1));
}

TEST_F(Lifecycle, TheMonitorLeadsASessionAndIsAnOrphan) {
  const Result result = run_shell({}, "cat /proc/$PPID/stat");
  std::istringstream stat(result.out);
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  std::string name;
  std::string state;
  stat >> pid >> name >> state >> parent >> group >> session;
  EXPECT_EQ(name, "(monitor)");
  EXPECT_EQ(session, pid);
  EXPECT_EQ(parent, ::getpid()) << "the test is the nearest subreaper";
}

class Relayed : public ChainTest, public ::testing::WithParamInterface<int> {};

TEST_P(Relayed, SignalsReachThePayloadOnce) {
  const std::string number = std::to_string(GetParam());
  Program chain(launcher(
      {"sh", "-c",
       "trap 'echo got it; exit 3' " + number + "; echo ready; while :; do sleep 100 & wait; done"}));
  chain.wait_for_out("ready");
  chain.signal(GetParam());
  const Result result = chain.finish();
  EXPECT_EQ(result.out, "ready\ngot it\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(3));
}

INSTANTIATE_TEST_SUITE_P(
    All, Relayed, ::testing::Values(SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT),
    [](const auto& param_info) { return std::string(::sigabbrev_np(param_info.param)); });

TEST_F(Lifecycle, ARelayedSignalThatEndsThePayloadNeedsNoWords) {
  Program chain(launcher({"sh", "-c", "echo ready; exec sleep 100"}));
  chain.wait_for_out("ready");
  chain.signal(SIGTERM);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(143));
  EXPECT_EQ(result.err, "");
}

TEST_F(Lifecycle, TheTimeoutEndsThePayload) {
  const Result result = run(launcher({"--timeout", "1", "sleep", "100"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(124));
  EXPECT_THAT(result.err,
              MatchesRegex("launcher: payload \\(pid [0-9]+\\) was killed: --timeout 1 is over\n"));
}

TEST_F(Lifecycle, WhatThePayloadLeavesRunningEndsWithIt) {
  const std::string daemons = "(setsid sh -c 'echo $$ > " + file("pid") +
                              "; sleep 100 & wait' </dev/null >/dev/null 2>&1 &); while [ ! -s " +
                              file("pid") + " ]; do :; done";
  EXPECT_EQ(run_shell({}, daemons).status, WaitStatus::for_exit_code(0));
  const int pid = std::stoi(read_file(file("pid")));
  EXPECT_EQ(::kill(pid, 0), -1) << "it is gone when the launcher's exit can be seen";
}

TEST_F(Lifecycle, DetachReturnsWhenThePayloadRunsAndHoldsNothingOfTheCaller) {
  Start start = launcher({"--listen", "tcp:127.0.0.1:8080", "--pidfile", file("pid"), "--exit-file",
                          file("exit"), "payload", "echo", "--exit-code", "4"});
  const Detached chain(start);
  EXPECT_EQ(read_file(file("pid")), std::to_string(chain.payload()));
  EXPECT_EQ(Client("tcp:127.0.0.1:8080").ask("hello"), "hello");
  for (const char* const number : {"0", "1", "2"}) {
    const auto link = "/proc/" + std::to_string(chain.payload()) + "/fd/" + number;
    EXPECT_EQ(std::filesystem::read_symlink(link), "/dev/null");
  }
  chain.end(SIGTERM);
  EXPECT_EQ(read_file(file("exit")), "4");
}

TEST_F(Lifecycle, DetachedTheMonitorsStdioIsDevNullToo) {
  const Detached chain(launcher({"sh", "-c", "echo $PPID > " + file("monitor") + "; exec sleep 100"}));
  std::string monitor;
  while (monitor.empty() || monitor.back() != '\n') monitor = read_file(file("monitor"));
  monitor.pop_back();
  // The monitor gives its stderr back when the launcher says that it leaves, which it does just before it
  // exits.
  const auto target = [&](const char* number) {
    return std::filesystem::read_symlink("/proc/" + monitor + "/fd/" + number).native();
  };
  while (target("2") != "/dev/null") ::sched_yield();
  EXPECT_EQ(target("0"), "/dev/null");
  EXPECT_EQ(target("1"), "/dev/null");
  chain.end(SIGKILL);
}

TEST_F(Lifecycle, TheLogIsConmonsK8sFile) {
  const Result result =
      run_shell({"--log", "k8s-file:" + file("log")}, "echo one; echo two >&2; printf 'no newline'");
  EXPECT_EQ(result.out + result.err, "");
  const std::string stamp =
      "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}[+-][0-9]{2}:[0-9]{2}";
  std::string log = read_file(file("log"));
  EXPECT_TRUE(std::regex_search(log, std::regex(stamp + " stdout F one\n"))) << log;
  EXPECT_TRUE(std::regex_search(log, std::regex(stamp + " stderr F two\n"))) << log;
  EXPECT_TRUE(std::regex_search(log, std::regex(stamp + " stdout P no newline\n"))) << log;
}

TEST_F(Lifecycle, TheLogIsWholeAlsoWhenThereIsALotOfIt) {
  const int lines = 20'000;
  const Result result =
      run_shell({"--log", "k8s-file:" + file("log")},
                "i=0; while [ $i -lt 20000 ]; do echo \"line $i of the log\"; i=$((i+1)); done");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  std::string joined;
  std::ifstream log(file("log"));
  for (std::string line; std::getline(log, line);) {
    const std::size_t content = line.find(" stdout ") + 10;
    joined += line.substr(content) + (line[content - 2] == 'F' ? "\n" : "");
  }
  std::string expected;
  for (int i = 0; i < lines; ++i) expected += "line " + std::to_string(i) + " of the log\n";
  EXPECT_EQ(joined, expected);
}

TEST_F(Lifecycle, LogNoneDropsTheOutput) {
  const Result result =
      run_shell({"--log", "none"}, "echo hello; echo hello >&2; readlink /proc/$$/fd/0 > " + file("stdin"));
  EXPECT_EQ(result.out + result.err, "");
  EXPECT_EQ(read_file(file("stdin")), "/dev/null\n");
}

// The address is free as soon as the end can be seen: every hop has dropped its copy by then.
TEST_F(Lifecycle, TheAddressIsFreeWhenTheStatusIsThere) {
  for (int round = 0; round < 20; ++round) {
    const Result result = run(launcher({"--listen", "tcp:127.0.0.1:8080", "true"}));
    ASSERT_EQ(result.err, "");
    const OwnedFd socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const sockaddr_in address{AF_INET, htons(8080), {htonl(INADDR_LOOPBACK)}, {}};
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
}

TEST_F(Lifecycle, SystemdHearsOfTheMainProcessAndFromThePayload) {
  const NotifySocket systemd(file("notify"));
  Start start = launcher({"--listen", "unix:@a", "payload", "echo"});
  start.environment = {"NOTIFY_SOCKET=" + file("notify")};
  Program chain(start);
  std::vector<std::string> heard{systemd.receive(), systemd.receive()};
  EXPECT_THAT(heard, ::testing::UnorderedElementsAre(MatchesRegex("MAINPID=[0-9]+"), "READY=1"));
  chain.signal(SIGTERM);
  chain.finish();
}

TEST_F(Lifecycle, SdnotifyConmonTellsForThePayloadAndIgnoreNobody) {
  const NotifySocket systemd(file("notify"));
  for (const std::string mode : {"conmon", "ignore"}) {
    Start start = launcher({"--sdnotify", mode, "sh", "-c", "echo ${NOTIFY_SOCKET-unset}"});
    start.environment = {"NOTIFY_SOCKET=" + file("notify")};
    EXPECT_EQ(run(start).out, "unset\n");
  }
  EXPECT_THAT(systemd.receive(), MatchesRegex("MAINPID=[0-9]+\nREADY=1"));
  EXPECT_EQ(systemd.receive(MSG_DONTWAIT), "");
}

class Alone : public ChainTest {};

TEST_F(Alone, TheShimBecomesThePayload) {
  Start start;
  start.argv = {bin("runtime-shim"), "--env", "A=b", "--", "sh", "-c", "echo $A $$; exit 5"};
  Program shim(start);
  const Result result = shim.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(5));
  EXPECT_EQ(result.out, "b " + std::to_string(shim.pid()) + '\n');
}

TEST_F(Alone, TheMonitorRunsAnyProgram) {
  Start start;
  start.argv = {bin("monitor"), "--exit-file", file("exit"), "--", "sh", "-c", "echo hello; exit 6"};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(6));
  EXPECT_EQ(result.out, "hello\n");
  EXPECT_EQ(read_file(file("exit")), "6");
}

TEST_F(Alone, EachAnswersHelpAndVersion) {
  for (const std::string name : {"launcher", "monitor", "runtime-shim", "payload"}) {
    Start start;
    start.argv = {bin(name), "--help"};
    EXPECT_THAT(run(start).out, ::testing::StartsWith("Usage: " + name + " ["));
    start.argv = {bin(name), "--version"};
    EXPECT_EQ(run(start).out, name + " (fdchain) " + FDCHAIN_VERSION + '\n');
  }
}

}  // namespace
}  // namespace fdchain::test
