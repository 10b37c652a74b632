// --network, --pid, --userns and --rootfs, as root and as an ordinary user: what the payload sees, that the
// sockets are the very ones, and that a run in namespaces ends like any other.

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <sstream>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/processes.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/notify_socket.h"
#include "integration/harness/rootfs.h"
#include "integration/harness/wait_until.h"

namespace fdchain::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;

using Words = std::vector<std::string>;

constexpr uid_t ordinary_user = 1234;

// A user without an account or a privilege.
Words as_ordinary_user(Words command) {
  const std::string id = std::to_string(ordinary_user);
  command.insert(command.begin(), {"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--"});
  return command;
}

/// Who runs it, and what is asked for.
struct Isolated {
  std::string label;
  bool by_root = true;
  bool network = false;
  bool pid = false;
  bool user = false;
  bool rootfs = false;
};

void PrintTo(const Isolated& isolated, std::ostream* out) { *out << isolated.label; }

class IsolationTest : public ChainTest {
 protected:
  IsolationTest() {
    ::chmod(directory_.path().c_str(), 0777);
    check(::chown(directory_.path().c_str(), ordinary_user, ordinary_user), "chown");
  }

  // A root file system that the ordinary user owns.
  std::string rootfs(bool with_shell = false) {
    make_rootfs(file("root"), with_shell);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(file("root")))
      check(::lchown(entry.path().c_str(), ordinary_user, ordinary_user), "lchown");
    check(::chown(file("root").c_str(), ordinary_user, ordinary_user), "chown");
    return file("root");
  }

  Words options(const Isolated& isolated, bool with_shell = false) {
    Words words;
    if (isolated.network) words.insert(words.end(), {"--network", "none"});
    if (isolated.pid) words.insert(words.end(), {"--pid", "private"});
    if (isolated.user) words.insert(words.end(), {"--userns", "private"});
    if (isolated.rootfs) words.insert(words.end(), {"--rootfs", rootfs(with_shell)});
    return words;
  }

  Start launcher_for(const Isolated& isolated, const Words& more, bool with_shell = false) {
    Start start = launcher(options(isolated, with_shell));
    start.argv.insert(start.argv.end(), more.begin(), more.end());
    if (!isolated.by_root) start.argv = as_ordinary_user(start.argv);
    return start;
  }

  Result run_isolated(const Isolated& isolated, const Words& more, bool with_shell = false) {
    return run(launcher_for(isolated, more, with_shell));
  }
};

class EachIsolation : public IsolationTest, public ::testing::WithParamInterface<Isolated> {};

TEST_P(EachIsolation, PassesTheVerySocketsAndNothingElse) {
  const Isolated& isolated = GetParam();
  std::vector<OwnedFd> sockets;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    sockets.emplace_back(check(::socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket"));
    const sockaddr_in any{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    check(::bind(sockets.back().get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), "bind");
  }
  check(::listen(sockets[0].get(), 8), "listen");
  Start start = launcher_for(isolated, {"payload", "report", "--exit-code", "5"});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=2", "LISTEN_FDNAMES=a:b"};
  start.pass = {{sockets[0].get(), 3}, {sockets[1].get(), 4}};
  const Result result = run(start);
  ASSERT_EQ(result.status, WaitStatus::for_exit_code(5)) << result.err;
  EXPECT_EQ(result.err, "");
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 2);
  EXPECT_THAT(report.names(), ElementsAre("a", "b"));
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(report.variable("LISTEN_PID"), std::to_string(report.pid()));
  EXPECT_EQ(report.pid() == 1, isolated.pid);
  EXPECT_EQ(report.identity(3), identity_of(*observe_fd(sockets[0].get())));
  EXPECT_EQ(report.identity(4), identity_of(*observe_fd(sockets[1].get())));
}

// The payload's pid as it is outside, from when the monitor has seen the payload run.
pid_t payload_pid(const std::string& pidfile) {
  wait_until("a pid in " + pidfile, [&] { return !read_file(pidfile).empty(); });
  return std::stoi(read_file(pidfile));
}

TEST_P(EachIsolation, ServesAndTheJudgeFindsNothing) {
  Program chain(launcher_for(GetParam(), {"--listen", "tcp:127.0.0.1:8080,name=web", "--pidfile", file("pid"),
                                          "--check", "--report", "text", "payload", "echo"}));
  const pid_t payload = payload_pid(file("pid"));
  EXPECT_EQ(Client("tcp:127.0.0.1:8080").ask("hello"), "hello");
  EXPECT_EQ(read_file("/proc/" + std::to_string(payload) + "/comm"), "payload\n");
  chain.signal(SIGTERM);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  EXPECT_THAT(result.err, HasSubstr("no findings"));
  EXPECT_THAT(result.err, Not(HasSubstr("unknown what"))) << "the payload has been seen";
  if (GetParam().pid) {
    EXPECT_THAT(result.err, ContainsRegex("LISTEN_PID +- +[0-9]+ +[0-9]+ +1\n"));
  }
}

TEST_P(EachIsolation, APayloadThatIsNotThereIs127AndOneThatCannotRunIs126) {
  const Isolated& isolated = GetParam();
  const Words words = options(isolated);
  const auto run_words = [&](const std::string& payload) {
    Words command{bin("launcher")};
    command.insert(command.end(), words.begin(), words.end());
    command.push_back(payload);
    Start start;
    start.argv = isolated.by_root ? command : as_ordinary_user(command);
    return run(start);
  };
  const std::string where = isolated.rootfs ? " in the root file system " + file("root") +
                                                  ": the program has to be there, with the libraries it needs"
                                            : "";
  const Result missing = run_words("/missing");
  EXPECT_EQ(missing.status, WaitStatus::for_exit_code(127));
  EXPECT_EQ(missing.err, "launcher: runtime-shim: exec /missing: No such file or directory" + where + "\n");
  const Result nowhere = run_words("missing");
  EXPECT_EQ(nowhere.status, WaitStatus::for_exit_code(127));
  EXPECT_EQ(nowhere.err, "launcher: runtime-shim: exec missing: not found in PATH" + where + "\n");
  const Result directory = run_words("/proc");
  EXPECT_EQ(directory.status, WaitStatus::for_exit_code(126));
  EXPECT_EQ(directory.err, "launcher: runtime-shim: exec /proc: a directory\n");
}

TEST_P(EachIsolation, ASignalThatNobodyCatchesEndsThePayload) {
  Program chain(launcher_for(GetParam(), {"sh", "-c", "echo up; exec sleep 100"}, true));
  chain.wait_for_out("up");
  chain.signal(SIGTERM);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(143));
  EXPECT_EQ(result.err, "");
}

TEST_P(EachIsolation, ASignalThatIsCaughtOrIgnoredIsThePayloadsAffair) {
  Program chain(
      launcher_for(GetParam(),
                   {"sh", "-c",
                    "trap '' HUP; trap 'echo got USR1' USR1; trap 'exit 3' TERM; echo up; while :; do "
                    "sleep 100 & wait; done"},
                   true));
  chain.wait_for_out("up");
  chain.signal(SIGHUP);
  chain.signal(SIGUSR1);
  chain.wait_for_out("got USR1");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(3));
}

TEST_P(EachIsolation, AKillFromOutsideIsNamed) {
  Start start =
      launcher_for(GetParam(), {"--pidfile", file("pid"), "sh", "-c", "echo up; exec sleep 100"}, true);
  Program chain(start);
  chain.wait_for_out("up");
  ::kill(payload_pid(file("pid")), SIGKILL);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(137));
  EXPECT_THAT(result.err,
              MatchesRegex("launcher: payload \\(pid [0-9]+\\) was killed by signal 9 \\(Killed\\)\n"));
}

INSTANTIATE_TEST_SUITE_P(
    All, EachIsolation,
    ::testing::Values(
        Isolated{.label = "root_network", .network = true}, Isolated{.label = "root_pid", .pid = true},  //
        Isolated{.label = "root_userns", .user = true}, Isolated{.label = "root_rootfs", .rootfs = true},
        Isolated{.label = "root_pid_rootfs", .pid = true, .rootfs = true},
        Isolated{.label = "root_all", .network = true, .pid = true, .user = true, .rootfs = true},
        Isolated{.label = "user_userns", .by_root = false, .user = true},
        Isolated{.label = "user_network", .by_root = false, .network = true, .user = true},
        Isolated{.label = "user_pid", .by_root = false, .pid = true, .user = true},
        Isolated{.label = "user_rootfs", .by_root = false, .user = true, .rootfs = true},
        Isolated{.label = "user_all",
                 .by_root = false,
                 .network = true,
                 .pid = true,
                 .user = true,
                 .rootfs = true}),
    [](const auto& param_info) { return param_info.param.label; });

/// What is the same for root and for an ordinary user.
class Isolation : public IsolationTest, public ::testing::WithParamInterface<bool> {
 protected:
  Isolated only(bool Isolated::*kind) const {
    Isolated isolated;
    isolated.by_root = GetParam();
    isolated.user = !GetParam();
    isolated.*kind = true;
    return isolated;
  }
};

INSTANTIATE_TEST_SUITE_P(By, Isolation, ::testing::Bool(),
                         [](const auto& param_info) { return param_info.param ? "root" : "user"; });

TEST_P(Isolation, TheNetworkIsLoopbackAloneAndReachesNothing) {
  const std::string look =
      "import socket\n"
      "print([name for _, name in socket.if_nameindex()])\n"
      "def attempt(family, address):\n"
      "  try: socket.socket(family).connect(address); print('connected')\n"
      "  except OSError as error: print(error.strerror)\n"
      "attempt(socket.AF_INET, ('127.0.0.1', 8080))\n"
      "attempt(socket.AF_INET, ('192.0.2.1', 80))\n"
      "attempt(socket.AF_UNIX, '\\0isolation')\n"
      "own = socket.create_server(('127.0.0.1', 0)); attempt(socket.AF_INET, own.getsockname())\n";
  // The launcher's own sockets are there to be reached, from the host.
  const Result result = run_isolated(only(&Isolated::network), {"--listen", "tcp:127.0.0.1:8080", "--listen",
                                                                "unix:@isolation", "python3", "-c", look});
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out,
            "['lo']\nConnection refused\nNetwork is unreachable\nConnection refused\nconnected\n");
}

TEST_P(Isolation, AProcess1SeesItsOwnProcessesOnly) {
  const Result result =
      run_isolated(only(&Isolated::pid), {"sh", "-c", "echo $$; echo /proc/[0-9]*; echo $PPID"});
  EXPECT_EQ(result.out, "1\n/proc/1\n0\n");
  EXPECT_THAT(read_file("/proc/self/mountinfo"), Not(HasSubstr(directory_.path()))) << "nothing came out";
}

TEST_P(Isolation, WhatProcess1LeavesRunningEndsWithIt) {
  const Result result = run_isolated(
      only(&Isolated::pid),
      {"sh", "-c",
       "setsid sh -c 'trap \"\" TERM HUP; echo up; while :; do sleep 1; done' & read up; exit 4"});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(4));
}

TEST_P(Isolation, OurPayloadReapsOrphansAsProcess1) {
  Start start = launcher_for(only(&Isolated::pid), {"--detach", "--listen", "unix:@reap", "payload", "hold"});
  const Result started = run(start);
  ASSERT_EQ(started.status, WaitStatus::for_exit_code(0)) << started.err;
  const pid_t payload = std::stoi(started.out);
  Start orphans;
  orphans.argv = {"nsenter",
                  "-t",
                  std::to_string(payload),
                  "-U",
                  "-p",
                  "-n",
                  "--preserve-credentials",
                  "sh",
                  "-c",
                  "for i in 1 2 3; do (sleep 0.01 &) done; echo done"};
  if (GetParam()) std::erase(orphans.argv, "-U");
  EXPECT_EQ(run(orphans).out, "done\n");
  // Gone when they have ended, which takes them a moment.
  const std::string children =
      "/proc/" + std::to_string(payload) + "/task/" + std::to_string(payload) + "/children";
  wait_until("the orphans' end", [&] { return read_file(children).empty(); });
  ::kill(payload, SIGKILL);
}

// What sigwait(3) waits for is not shown as blocked, and is not to be taken for what process 1 would drop.
TEST_P(Isolation, Process1ThatWaitsForASignalIsLeftToItsOwnWay) {
  const NotifySocket systemd(file("notify"));
  std::filesystem::permissions(file("notify"), std::filesystem::perms::all);
  Start start = launcher_for(only(&Isolated::pid), {"payload", "hold", "--exit-code", "5"});
  start.environment.push_back("NOTIFY_SOCKET=" + file("notify"));
  Program chain(start);
  ASSERT_EQ(systemd.receive(), "READY=1");
  // Ready is said just before it waits; blocked already, the signal stays until then.
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(5));
}

// Process 1 that blocks everything may do so for the moment of a fork, or look after its signals itself:
// which of them, its monitor finds out beside its other work.
TEST_P(Isolation, Process1ThatBlocksEverythingHasItsSignalsAtOnce) {
  // All signals are blocked, and so none can wake it: it has to look.
  const std::string payload =
      "import signal, sys, time\n"
      "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
      "print('up', flush=True)\n"
      "while len(signal.sigpending()) < 21: time.sleep(0.001)\n"
      "sys.exit(3)\n";
  Program chain(
      launcher_for(only(&Isolated::pid), {"--log", "k8s-file:" + file("log"), "python3", "-c", payload}));
  wait_for_text(file("log"), "up");
  const auto before = std::chrono::steady_clock::now();
  for (int number = SIGRTMIN; number < SIGRTMIN + 20; ++number) chain.signal(number);
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(3));
  // To wait for one takes half a second, and nothing is logged meanwhile.
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(8));
}

TEST_P(Isolation, ASignalThatComesInAShortBlockOfEverythingEndsProcess1) {
  const std::string payload =
      "import signal\n"
      "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
      "print('up', flush=True)\n"
      "while signal.SIGTERM not in signal.sigpending(): pass\n"
      "signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())\n"
      "signal.pause()\n";
  Program chain(launcher_for(only(&Isolated::pid), {"python3", "-c", payload}));
  chain.wait_for_out("up");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(143));
}

TEST_P(Isolation, RootInTheUserNamespaceIsTheCallerOutside) {
  const Result result =
      run_isolated(only(&Isolated::user),
                   {"sh", "-c", "id -u; id -g; echo > " + file("made") + "; cat /proc/self/setgroups"});
  EXPECT_EQ(result.out, "0\n0\ndeny\n");
  struct stat status {};
  ASSERT_EQ(::stat(file("made").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, GetParam() ? 0 : ordinary_user);
}

// The field of every line of a mountinfo(5), with its file system.
Words mounts(const std::string& mountinfo) {
  Words found;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    const std::string place = word;
    while (words >> word && word != "-") {
    }
    words >> word;
    found.push_back(place == "/" ? "/" : place + ' ' + word);
  }
  return found;
}

TEST_P(Isolation, InARootOfItsOwnNothingOfTheHostIsLeft) {
  Isolated isolated = only(&Isolated::rootfs);
  isolated.pid = true;
  const Result result =
      run_isolated(isolated, {"sh", "-c", "pwd; ls /; ls /dev; cat /proc/self/mountinfo"}, true);
  EXPECT_EQ(result.err, "");
  const std::string seen = "/\nbin\ndev\n";
  const std::size_t list_of_mounts = result.out.find_first_of("0123456789", result.out.find("zero"));
  const std::string before = result.out.substr(0, list_of_mounts);
  EXPECT_THAT(before, MatchesRegex("/\nbin\ndev\n(lib\nlib64\n)?payload\nproc\n(usr\n)?"
                                   "fd\nfull\nnull\nrandom\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n"));
  const std::string node = mounts(result.out.substr(list_of_mounts))[2];
  EXPECT_THAT(mounts(result.out.substr(list_of_mounts)),
              ElementsAre("/", "/dev tmpfs", MatchesRegex("/dev/null .*"), MatchesRegex("/dev/zero .*"),
                          MatchesRegex("/dev/full .*"), MatchesRegex("/dev/random .*"),
                          MatchesRegex("/dev/urandom .*"), MatchesRegex("/dev/tty .*"), "/proc proc"));
  // On the host nothing is mounted, and only what a mount needs has been made.
  EXPECT_THAT(read_file("/proc/self/mountinfo"), Not(HasSubstr(file("root"))));
  EXPECT_TRUE(std::filesystem::is_empty(file("root/dev")));
  EXPECT_TRUE(std::filesystem::is_empty(file("root/proc")));
}

TEST_P(Isolation, TheWorkingDirectoryIsInTheRoot) {
  const Result result =
      run_isolated(only(&Isolated::rootfs), {"--workdir", "/bin", "./sh", "-c", "pwd"}, true);
  EXPECT_EQ(result.out, "/bin\n");
  EXPECT_EQ(result.err, "");
}

TEST_P(Isolation, TheStandardDevicesWork) {
  const Result result = run_isolated(
      only(&Isolated::rootfs), {"sh", "-c", "echo lost > /dev/null; head -c 4 /dev/zero | wc -c"}, true);
  EXPECT_EQ(result.out, "4\n");
  EXPECT_EQ(result.err, "");
}

TEST_P(Isolation, SystemdHearsOfThePayloadInItsRoot) {
  const NotifySocket systemd(file("notify"));
  ::chmod(file("notify").c_str(), 0666);
  Isolated isolated = only(&Isolated::rootfs);
  isolated.network = isolated.pid = true;
  Start start = launcher_for(isolated, {"--listen", "unix:@a", "payload", "echo"});
  start.environment = {"NOTIFY_SOCKET=" + file("notify")};
  Program chain(start);
  EXPECT_EQ(systemd.receive(), "READY=1");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
}

/// A hop that dies while the payload is in every namespace there is.
class KilledInIsolation : public IsolationTest, public ::testing::WithParamInterface<std::string> {
 protected:
  Words everything() {
    return options({.label = "", .network = true, .pid = true, .user = true, .rootfs = true}, true);
  }
};

TEST_P(KilledInIsolation, LeavesNothingBehind) {
  Start start = launcher(everything());
  start.argv.insert(start.argv.end(), {"--listen", "unix:" + file("s"), "payload", "hold"});
  start.environment = {"FDCHAIN_STOP=" + GetParam()};
  Program chain(start);
  ::kill(stopped_process(chain), SIGKILL);
  chain.finish();
  expect_nobody_left();
  EXPECT_FALSE(std::filesystem::exists(file("s"))) << "the socket's path is still there";
}

INSTANTIATE_TEST_SUITE_P(All, KilledInIsolation,
                         ::testing::Values("launcher:after-fork", "launcher:running", "monitor:after-fork",
                                           "monitor:running", "runtime-shim:arrival"),
                         [](const auto& param_info) {
                           std::string label = param_info.param;
                           for (char& character : label) {
                             if (character == ':' || character == '-') character = '_';
                           }
                           return label;
                         });

std::vector<pid_t> children_of(pid_t pid) {
  std::istringstream list(
      read_file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children"));
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

// A launcher that attends to its run is the nearest subreaper, and so its monitor's parent.
pid_t monitor_of(pid_t launcher) {
  std::vector<pid_t> children;
  auto monitor = children.end();
  wait_until("a monitor", [&] {
    children = children_of(launcher);
    monitor = std::ranges::find_if(children, [](pid_t child) {
      return read_file("/proc/" + std::to_string(child) + "/comm") == "monitor\n";
    });
    return monitor != children.end();
  });
  return *monitor;
}

/// Between the shim's fork and the payload's exec there are two processes beside the monitor.
class KilledBeforeExec : public IsolationTest {
 protected:
  void start(const std::string& victim, const std::string& expected) {
    Start start = launcher({"--pid", "private", "sleep", "100"});
    start.environment = {"FDCHAIN_DELAY=runtime-shim:departure=60000"};
    Program chain(start);
    const pid_t monitor = monitor_of(chain.pid());
    std::vector<pid_t> both;
    wait_until("two children of the monitor", [&] { return (both = children_of(monitor)).size() >= 2; });
    const pid_t target = victim == "monitor" ? monitor : victim == "shim" ? both[0] : both[1];
    ::kill(target, SIGKILL);
    const Result result = chain.finish();
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_THAT(result.err, MatchesRegex(expected));
    expect_nobody_left();
  }
};

TEST_F(KilledBeforeExec, TheMonitorTakesBothWithIt) {
  start("monitor", "launcher: monitor \\(pid [0-9]+\\) died before the payload ran\n");
}

TEST_F(KilledBeforeExec, TheShimTakesThePayloadWithIt) {
  start(
      "shim",
      "launcher: monitor: runtime-shim \\(pid [0-9]+\\) was killed by signal 9 \\(Killed\\) before it became "
      "the payload\n");
}

TEST_F(KilledBeforeExec, ThePayloadIsMissed) {
  start("payload",
        "launcher: runtime-shim: the payload's process \\(pid [0-9]+\\) died before it became the payload\n");
}

class Refused : public IsolationTest {
 protected:
  void expect_refusal(const Words& command, const std::string& text) {
    Start start;
    start.argv = command;
    start.environment = environment_;
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: " + text + "\n");
    EXPECT_EQ(result.out, "");
  }

  Words environment_;
};

TEST_F(Refused, NamespacesForAnOrdinaryUserAndWhatToDo) {
  const auto expect = [&](const Words& options, const std::string& kind) {
    Words command{bin("launcher")};
    command.insert(command.end(), options.begin(), options.end());
    command.emplace_back("true");
    expect_refusal(as_ordinary_user(command), "runtime-shim: a private " + kind +
                                                  " namespace was refused: Operation not permitted; run as "
                                                  "root, or add --userns private");
  };
  expect({"--network", "none"}, "network");
  expect({"--pid", "private"}, "pid");
}

TEST_F(Refused, AMountNamespaceLikewise) {
  expect_refusal(
      as_ordinary_user({bin("launcher"), "--rootfs", rootfs(), "payload"}),
      "runtime-shim: a private mount namespace was refused: Operation not permitted; run as root, or "
      "add --userns private");
}

TEST_F(Refused, ARootThatIsNone) {
  expect_refusal({bin("launcher"), "--rootfs", "/missing"},
                 "runtime-shim: --rootfs /missing: No such file or directory");
  expect_refusal({bin("launcher"), "--rootfs", "/etc/passwd"},
                 "runtime-shim: --rootfs /etc/passwd: Not a directory");
  expect_refusal({bin("launcher"), "--rootfs", "/"},
                 "runtime-shim: --rootfs /: the host's own root; leave --rootfs out to keep it");
}

TEST_F(Refused, ARootWhoseMountPointsLeadElsewhere) {
  std::filesystem::create_directory_symlink("/proc", rootfs() + "/proc");
  expect_refusal({bin("launcher"), "--rootfs", file("root")},
                 "runtime-shim: --rootfs: " + file("root") + "/proc: not a directory to mount on");
}

TEST_F(Refused, WordsThatNameNoNamespace) {
  expect_refusal({bin("launcher"), "--network", "nowhere"}, "--network nowhere: not one of none, host");
  expect_refusal({bin("launcher"), "--pid", "1"}, "--pid 1: not one of private, host");
  expect_refusal({bin("launcher"), "--userns", "keep-id"}, "--userns keep-id: not one of private, host");
}

TEST_F(Refused, ANotifySocketThatCannotBeReached) {
  const std::string without = "; --sdnotify conmon or ignore does without";
  const auto shown = [](const std::string& socket) { return "runtime-shim: NOTIFY_SOCKET=" + socket + ": "; };
  const auto not_shown = [&](const std::string& socket, const std::string& why) {
    return shown(socket) + "cannot be shown in the root file system: stat " + socket + ": " + why + without;
  };
  environment_ = {"NOTIFY_SOCKET=" + file("gone")};
  expect_refusal({bin("launcher"), "--rootfs", rootfs(), "payload", "report"},
                 not_shown(file("gone"), "No such file or directory"));
  environment_ = {"NOTIFY_SOCKET=@abstract"};
  expect_refusal(
      {bin("launcher"), "--network", "none", "payload", "report"},
      shown("@abstract") + "an abstract name, which cannot be reached with --network none" + without);
}

/// The shim with nobody above it: it stays with its payload.
class IsolatedAlone : public ChainTest {};

TEST_F(IsolatedAlone, TheShimHasThePayloadsStatus) {
  Start start;
  start.argv = {bin("runtime-shim"), "--pid", "private", "--network", "none", "--", "sh", "-c",
                "echo $$; exit 5"};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(5));
  EXPECT_EQ(result.out, "1\n");
}

TEST_F(IsolatedAlone, ASignalReachesThePayloadAndEndsIt) {
  Start start;
  start.argv = {bin("runtime-shim"), "--pid", "private", "--", "sh", "-c", "echo up; exec sleep 100"};
  Program shim(start);
  shim.wait_for_out("up");
  shim.signal(SIGTERM);
  EXPECT_EQ(shim.finish().status, WaitStatus::for_exit_code(143));
}

TEST_F(IsolatedAlone, ASignalThatComesInAShortBlockOfEverythingEndsThePayload) {
  Start start;
  start.argv = {bin("runtime-shim"),
                "--pid",
                "private",
                "--",
                "python3",
                "-c",
                "import signal\n"
                "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
                "print('up', flush=True)\n"
                "while signal.SIGTERM not in signal.sigpending(): pass\n"
                "signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())\n"
                "signal.pause()\n"};
  Program shim(start);
  shim.wait_for_out("up");
  shim.signal(SIGTERM);
  EXPECT_EQ(shim.finish().status, WaitStatus::for_exit_code(143));
}

TEST_F(IsolatedAlone, AKilledShimTakesThePayloadWithIt) {
  Start start;
  start.argv = {bin("runtime-shim"), "--pid", "private", "--", "sh", "-c", "echo up; exec sleep 100"};
  Program shim(start);
  shim.wait_for_out("up");
  shim.signal(SIGKILL);
  EXPECT_EQ(shim.finish().status, WaitStatus::for_signal(SIGKILL));
  expect_nobody_left();
}

TEST_F(IsolatedAlone, APayloadThatIsNotThereIs127) {
  Start start;
  start.argv = {bin("runtime-shim"), "--pid", "private", "--", "/missing"};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(127));
  EXPECT_EQ(result.err, "runtime-shim: exec /missing: No such file or directory\n");
}

}  // namespace
}  // namespace fdchain::test
