// A run from its start to its end: statuses, signals, logs, detaching, and what is left afterwards.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "fdchain/system/fd/sys.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/notify_socket.h"
#include "integration/harness/wait_until.h"

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

TEST_F(Lifecycle, TheMonitorLeadsASessionAndIsTheSubreapers) {
  Program chain(launcher({"sh", "-c", "cat /proc/$PPID/stat"}));
  const pid_t launcher_pid = chain.pid();
  std::istringstream stat(chain.finish().out);
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  std::string name;
  std::string state;
  stat >> pid >> name >> state >> parent >> group >> session;
  EXPECT_EQ(name, "(monitor)");
  EXPECT_EQ(session, pid);
  EXPECT_EQ(parent, launcher_pid) << "while the launcher is there, it is the nearest subreaper";
}

pid_t parent_of(pid_t process) {
  const std::string status = read_file("/proc/" + std::to_string(process) + "/status");
  return std::stoi(status.substr(status.find("\nPPid:") + 6));
}

TEST_F(Lifecycle, DetachedTheMonitorIsTheNextSubreapers) {
  const Detached chain(launcher({"sleep", "100"}));
  EXPECT_EQ(parent_of(parent_of(chain.payload())), ::getpid());
  chain.end(SIGTERM);
}

TEST_F(Lifecycle, SignalDispositionsReachThePayloadAsTheyCame) {
  const std::string show = "sed -n 's/^Sig[BI].*:\t//p' /proc/self/status";
  EXPECT_EQ(run(launcher({"sh", "-c", show})).out, "0000000000000000\n0000000000000000\n");
  // But for SIGCHLD: who ignores it has its children reaped by the kernel, and no status of them.
  Start start;
  start.argv = {"env", "--ignore-signal=USR1,PIPE,CHLD", bin("launcher"), "sh", "-c", show + "; exit 5"};
  const Result result = run(start);
  EXPECT_EQ(result.out, "0000000000000000\n0000000000001200\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(5));
}

TEST_F(Lifecycle, AChildThatTheLauncherCameWithIsNotOfTheRun) {
  Start start;
  start.argv = {"sh", "-c",
                "sleep 100 & echo $! > " + file("helper") + "; exec " + bin("launcher") +
                    " sh -c 'kill -KILL $PPID; sleep 100'"};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err, HasSubstr(") died before "));
  EXPECT_EQ(::kill(std::stoi(read_file(file("helper"))), SIGTERM), 0) << "it still runs";
}

// Each of the two has a path to remove, and the other may have removed it already: what stands there by then
// could be the next run's, with the very inode that has become free.
TEST_F(Lifecycle, APathIsRemovedOnce) {
  Start start =
      launcher({"--listen", "unix:" + file("s"), "sh", "-c", "ln " + file("s") + ' ' + file("same")});
  start.environment = {"FDCHAIN_STOP=launcher:after-exit"};
  Program chain(start);
  const pid_t stopped = stopped_process(chain);
  EXPECT_FALSE(std::filesystem::exists(file("s"))) << "the monitor has removed it";
  std::filesystem::rename(file("same"), file("s"));
  ::kill(stopped, SIGCONT);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
  EXPECT_TRUE(std::filesystem::exists(file("s"))) << "and the launcher has removed the next one";
}

class Relayed : public ChainTest, public ::testing::WithParamInterface<int> {};

TEST_P(Relayed, SignalsReachThePayloadOnce) {
  const std::string number = std::to_string(GetParam());
  Program chain(launcher(
      {"sh", "-c",
       "trap 'echo got it; kill -KILL $!; wait; exit 3' " + number + "; sleep 100 & echo ready; wait"}));
  chain.wait_for_out("ready");
  chain.signal(GetParam());
  const Result result = chain.finish();
  EXPECT_EQ(result.out, "ready\ngot it\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(3));
}

INSTANTIATE_TEST_SUITE_P(All, Relayed,
                         ::testing::Values(SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
                                           SIGCONT, SIGALRM, SIGPWR, 37),
                         [](const auto& param_info) {
                           const char* const name = ::sigabbrev_np(param_info.param);
                           return name == nullptr ? "REAL_TIME" : std::string(name);
                         });

TEST_F(Lifecycle, ASignalForTheMonitorIsThePayloads) {
  const Result result = run_shell(
      {}, "trap 'echo got it; kill -KILL $!; wait; exit 3' TERM; sleep 100 & kill -TERM $PPID; wait");
  EXPECT_EQ(result.out, "got it\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(3));
}

TEST_F(Lifecycle, ASignalThatComesBeforeThePayloadWaitsForIt) {
  Start start = launcher({"sleep", "100"});
  start.environment = {"FDCHAIN_STOP=runtime-shim:departure", "FDCHAIN_LOG=off,monitor=debug"};
  Program chain(start);
  const pid_t shim = stopped_process(chain);
  chain.signal(SIGTERM);
  chain.wait_for_err("signal 15 waits for the payload");
  ::kill(shim, SIGCONT);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(143)) << "the payload's end, not a failed hop";
}

TEST_F(Lifecycle, TheTimeoutCountsFromTheStartOfTheRuntime) {
  Start start = launcher({"--timeout", "1", "sleep", "100"});
  start.environment = {"FDCHAIN_STOP=runtime-shim:arrival"};
  Program chain(start);
  chain.wait_for_err("FDCHAIN_STOP");
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(124));
  EXPECT_THAT(result.err, HasSubstr(" was killed: --timeout 1 is over before it became the payload\n"));
}

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
  const Result result = run_shell({}, daemons);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(result.err, "monitor: warning: the payload has ended and left 2 processes running; ended too\n");
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
  wait_until("the monitor's pid", [&] {
    monitor = read_file(file("monitor"));
    return monitor.ends_with('\n');
  });
  monitor.pop_back();
  // The monitor gives its stderr back when the launcher says that it leaves, which it does just before it
  // exits.
  const auto target = [&](const char* number) {
    return std::filesystem::read_symlink("/proc/" + monitor + "/fd/" + number).native();
  };
  wait_until("its stderr given back", [&] { return target("2") == "/dev/null"; });
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
  EXPECT_EQ(run_shell({"--log", "none"}, "echo hello; echo hello >&2").out, "");
  run_shell({"--log", "none"}, "readlink /proc/$$/fd/1 /proc/$$/fd/2 | cat > " + file("streams"));
  EXPECT_EQ(read_file(file("streams")), "/dev/null\n/dev/null\n");
}

TEST_F(Lifecycle, StdinPassesThroughWhereverTheOutputGoes) {
  for (const std::string& log : {std::string("none"), "k8s-file:" + file("log")}) {
    Start start = launcher({"--log", log, "sh", "-c", "cat > " + file("got")});
    start.input = "to the payload by " + log;
    run(start);
    EXPECT_EQ(read_file(file("got")), start.input);
  }
}

TEST_F(Lifecycle, APreservedPipeEndsWithThePayloadsCopy) {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC), "pipe2");
  const OwnedFd reads(ends[0]);
  OwnedFd writes(ends[1]);
  Start start = launcher({"--preserve-fds", "1", "sh", "-c", "echo hello >&3; exec 3>&-; exec sleep 100"});
  start.pass = {{writes.get(), 3}};
  Program chain(start);
  writes.close();
  EXPECT_EQ(read_all(reads.get()), "hello\n") << "and then its end, while the payload runs on";
  chain.signal(SIGTERM);
  chain.finish();
}

// The address is free as soon as the end can be seen: every hop has dropped its copy by then. A port of its
// own: what an earlier test has connected to would still be in TIME_WAIT.
TEST_F(Lifecycle, TheAddressIsFreeWhenTheStatusIsThere) {
  for (int round = 0; round < 20; ++round) {
    const Result result = run(launcher({"--listen", "tcp:127.0.0.1:8099", "true"}));
    ASSERT_EQ(result.err, "");
    const OwnedFd socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const sockaddr_in address{AF_INET, htons(8099), {htonl(INADDR_LOOPBACK)}, {}};
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
}

// What each hop holds at the moment when the status can first be seen is the last thing in its trace.
TEST_F(Lifecycle, NoHopHoldsASocketWhenTheStatusIsPublished) {
  run(launcher({"--trace", file("trace"), "--listen", "tcp:127.0.0.1:8080", "--listen", "unix:" + file("s"),
                "--exit-file", file("exit"), "true"}));
  std::ifstream trace(file("trace"));
  std::vector<std::string> at_the_end;
  for (std::string line; std::getline(trace, line);) {
    const auto record = boost::json::parse(line).as_object();
    if (record.at("moment").as_string() != "after-exit") continue;
    at_the_end.emplace_back(record.at("hop").as_string());
    for (const auto& row : record.at("fds").as_array()) {
      const std::string type(row.at("type").as_string());
      EXPECT_TRUE(type != "TCP" && type != "UNIX-STREAM") << line;
    }
  }
  EXPECT_THAT(at_the_end, ::testing::ElementsAre("monitor", "launcher"));
}

TEST_F(Lifecycle, SystemdHearsFromThePayloadOfALauncherThatStays) {
  const NotifySocket systemd(file("notify"));
  Start start = launcher({"--listen", "unix:@a", "payload", "echo"});
  start.environment = {"NOTIFY_SOCKET=" + file("notify")};
  Program chain(start);
  EXPECT_EQ(systemd.receive(), "READY=1");
  chain.signal(SIGTERM);
  chain.finish();
  EXPECT_EQ(systemd.receive(MSG_DONTWAIT), "");
}

TEST_F(Lifecycle, SystemdHearsOfTheMainProcessFromALauncherThatLeaves) {
  const NotifySocket systemd(file("notify"));
  Start start = launcher({"--listen", "unix:@a", "payload", "echo"});
  start.environment = {"NOTIFY_SOCKET=" + file("notify")};
  const Detached chain(start);
  const std::vector<std::string> heard{systemd.receive(), systemd.receive()};
  EXPECT_THAT(heard, ::testing::UnorderedElementsAre(MatchesRegex("MAINPID=[0-9]+"), "READY=1"));
  chain.end(SIGTERM);
}

TEST_F(Lifecycle, SdnotifyConmonTellsForThePayloadAndIgnoreNobody) {
  const NotifySocket systemd(file("notify"));
  for (const std::string mode : {"conmon", "ignore"}) {
    Start start = launcher({"--sdnotify", mode, "sh", "-c", "echo ${NOTIFY_SOCKET-unset}"});
    start.environment = {"NOTIFY_SOCKET=" + file("notify")};
    EXPECT_EQ(run(start).out, "unset\n");
  }
  EXPECT_EQ(systemd.receive(), "READY=1");
  EXPECT_EQ(systemd.receive(MSG_DONTWAIT), "");
}

// Whoever is ready can be asked to end.
TEST_F(Lifecycle, AReadyPayloadEndsInItsOwnWayWhenSignalled) {
  const NotifySocket systemd(file("notify"));
  for (int round = 0; round < 20; ++round) {
    const OwnedFd socket(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
    Start start;
    start.argv = as_activated({bin("payload")});
    start.environment = {"NOTIFY_SOCKET=" + file("notify"), "LISTEN_FDS=1"};
    start.pass = {{socket.get(), 3}};
    Program payload(start);
    EXPECT_EQ(systemd.receive(), "READY=1");
    payload.signal(SIGTERM);
    EXPECT_EQ(payload.finish().status, WaitStatus::for_exit_code(0));
  }
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

// What calls a conmon looks there for what it can do: its own tests, for "journald".
TEST_F(Alone, TheMonitorsHelpHasConmonsOptionsToo) {
  Start start;
  start.argv = {bin("monitor"), "--help"};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  for (const char* const text :
       {"\n      --runtime-sync-fd FD", "dialect of conmon", "\n  -c, --cid=TEXT", "journald"})
    EXPECT_THAT(result.out, ::testing::HasSubstr(text));
}

TEST_F(Alone, EachAnswersHelpAndVersion) {
  for (const std::string name : {"launcher", "monitor", "runtime-shim", "payload"}) {
    Start start;
    start.argv = {bin(name), "--help"};
    EXPECT_THAT(run(start).out, ::testing::StartsWith("Usage: " + name + " ["));
    start.argv = {bin(name), "--version"};
    // podman asks whatever it is given as a conmon or a runtime, and reads the first line.
    const std::string own = std::string("fdchain ") + FDCHAIN_VERSION + '\n';
    const std::map<std::string, std::string> dialects{
        {"monitor", std::string("conmon version 2.1.6\ncommit: fdchain ") + FDCHAIN_VERSION +
                        ", whose monitor speaks as conmon 2.1.6 does\n"},
        {"runtime-shim", std::string("runtime-shim version ") + FDCHAIN_VERSION + "\ncommit: " + own +
                             "spec: 1.0.2\nruntime-shim (fdchain) " + FDCHAIN_VERSION + '\n'}};
    const auto dialect = dialects.find(name);
    EXPECT_EQ(run(start).out,
              dialect != dialects.end() ? dialect->second : name + " (fdchain) " + FDCHAIN_VERSION + '\n');
  }
}

}  // namespace
}  // namespace fdchain::test
