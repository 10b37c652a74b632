// Every hop can be the real one: all mixtures, with the sockets' identity from end to end and the judge's
// verdict.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "fdchain/judge/judge.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/socket/listening_socket.h"
#include "fdchain/system/trace/trace_reader.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/notify_socket.h"
#include "integration/harness/rootfs.h"
#include "integration/harness/wait_until.h"
#include "integration/real/monitored.h"

namespace fdchain::test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using Words = std::vector<std::string>;

constexpr const char* crun = "/usr/bin/crun";
constexpr const char* runc = "/usr/sbin/runc";

std::string ours_or(const std::string& program) { return program.starts_with('/') ? program : bin(program); }

pid_t parent_of(pid_t process) {
  const std::string status = read_file("/proc/" + std::to_string(process) + "/status");
  return std::stoi(status.substr(status.find("\nPPid:") + 6));
}

Words left_in(const std::string& directory) {
  Words names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename());
  return names;
}

class Real : public ChainTest {
 protected:
  /// `launcher OPTIONS --monitor … --runtime … WORDS`, traced.
  Result drive(const std::string& monitor, const std::string& runtime, Words words) {
    Words all{"--dialect",      "oci",       "--trace",       file("trace"), "--monitor",
              ours_or(monitor), "--runtime", ours_or(runtime)};
    all.insert(all.end(), words.begin(), words.end());
    return run(launcher(all));
  }

  /// `ID by CULPRIT at HOP`, of the run that was traced.
  [[nodiscard]] Words verdict() const {
    const TraceContent content = read_trace(file("trace"));
    Words words;
    for (const Finding& finding : judge(content.runs.front()).findings) {
      words.push_back(finding.id + " by " +
                      (finding.culprit ? std::string(to_string(*finding.culprit)) : "nobody") + " at " +
                      std::string(to_string(finding.hop)));
    }
    return words;
  }

  /// What the real conmon leaves to its runtime; ours leaves nothing.
  static Words left_by(const std::string& monitor) {
    if (monitor != real_conmon) return {};
    return {"env-leaked by monitor at runtime-shim", "signal-ignored by monitor at runtime-shim"};
  }

  /// Those of `verdict` that a runtime or a launcher is to blame for.
  [[nodiscard]] Words verdict_beside_conmon() const {
    Words words = verdict();
    for (const std::string& left : left_by(real_conmon)) std::erase(words, left);
    return words;
  }

  /// What the launcher wrote down that it has to pass.
  [[nodiscard]] std::vector<PayloadReport::Identity> contract() const {
    const TraceContent content = read_trace(file("trace"));
    std::vector<PayloadReport::Identity> identities;
    for (const ContractSocket& socket : content.runs.front().front().contract->sockets)
      identities.push_back(identity_of(socket.row));
    return identities;
  }

  Words two_sockets() {
    return {"--listen", "tcp:127.0.0.1:8080,name=web", "--listen", "unix:" + file("admin") + ",name=admin"};
  }

  Words with_two_sockets(Words words) {
    Words all = two_sockets();
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }

  void TearDown() override {
    ChainTest::TearDown();
    EXPECT_FALSE(std::filesystem::exists(file("admin"))) << "the path of a run that is over";
  }
};

struct Mixture {
  const char* monitor;
  const char* runtime;
};

std::string name_of(const ::testing::TestParamInfo<Mixture>& info) {
  std::string name = std::filesystem::path(info.param.monitor).filename().string() + "_" +
                     std::filesystem::path(info.param.runtime).filename().string();
  std::erase(name, '-');
  return name;
}

class Matrix : public Real, public ::testing::WithParamInterface<Mixture> {
 protected:
  static Words expected_verdict() { return left_by(GetParam().monitor); }

  Result drive(Words words) { return Real::drive(GetParam().monitor, GetParam().runtime, std::move(words)); }
};

TEST_P(Matrix, ThePayloadHasTheVerySocketsAndTheJudgeIsContent) {
  const Result result = drive(with_two_sockets({"payload", "report"}));
  ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 2);
  EXPECT_EQ(report.pid(), 1);
  EXPECT_THAT(report.names(), ElementsAre("web", "admin"));
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(contract(), ElementsAre(report.identity(3), report.identity(4)));
  EXPECT_THAT(verdict(), ElementsAreArray(expected_verdict()));
}

// A real monitor has let go of the sockets before its end can be seen.
TEST_P(Matrix, AClientThatNobodyAcceptedIsTold) {
  const Opened socket = open_listening(parse_listen_spec("unix:" + file("web")));
  const Client client("unix:" + file("web"));
  Start start = launcher({"--dialect", "oci", "--trace", file("trace"), "--monitor",
                          ours_or(GetParam().monitor), "--runtime", ours_or(GetParam().runtime), "true"});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=1", "LISTEN_FDNAMES=web"};
  start.pass = {{socket.fd.get(), 3}};
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(0));
  Words expected = expected_verdict();
  expected.emplace_back("client-waiting by payload at payload");
  EXPECT_THAT(verdict(), ElementsAreArray(expected));
}

TEST_P(Matrix, WhatThePayloadTellsSystemdArrives) {
  const NotifySocket systemd(file("notify"));
  Start start = launcher({"--dialect", "oci", "--trace", file("trace"), "--monitor",
                          ours_or(GetParam().monitor), "--runtime", ours_or(GetParam().runtime), "--sdnotify",
                          "container", "--listen", "unix:" + file("admin"), "payload", "echo"});
  start.environment = {"NOTIFY_SOCKET=" + file("notify")};
  Program chain(start);
  EXPECT_EQ(systemd.receive(), "READY=1");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(verdict(), ElementsAreArray(expected_verdict()));
}

TEST_P(Matrix, StatusesAreThePayloads) {
  EXPECT_EQ(drive({"sh", "-c", "exit 3"}).status, WaitStatus::for_exit_code(3));
  EXPECT_EQ(drive({"nonexistent-program"}).status, WaitStatus::for_exit_code(127));
  EXPECT_EQ(drive({"/etc/passwd"}).status, WaitStatus::for_exit_code(126));
  EXPECT_EQ(drive({"--timeout", "1", "sleep", "100"}).status, WaitStatus::for_exit_code(124));
}

TEST_P(Matrix, SignalsAreRelayed) {
  Words words{
      "--dialect", "oci", "--monitor", ours_or(GetParam().monitor), "--runtime", ours_or(GetParam().runtime)};
  Words caught = words;
  caught.insert(caught.end(), {"sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done"});
  Program minds(launcher(caught));
  minds.wait_for_out("up");
  minds.signal(SIGTERM);
  EXPECT_EQ(minds.finish().status, WaitStatus::for_exit_code(7));
  Words plain = words;
  plain.insert(plain.end(), {"sh", "-c", "echo up; sleep 100; :"});
  Program does_not(launcher(plain));
  does_not.wait_for_out("up");
  does_not.signal(SIGTERM);
  EXPECT_EQ(does_not.finish().status, WaitStatus::for_exit_code(128 + SIGTERM));
}

// A runtime that never comes back, at either of its two calls.
TEST_P(Matrix, ARuntimeThatHangsIsGivenUp) {
  for (const std::string call : {"create", "start"}) {
    const std::string hanging = file(std::filesystem::path(GetParam().runtime).filename());
    write_script(hanging, "for word; do [ \"$word\" = " + call + " ] && exec sleep 1000; done\nexec " +
                              ours_or(GetParam().runtime) + " \"$@\"\n");
    const Result result = run(launcher({"--dialect", "oci", "--monitor", ours_or(GetParam().monitor),
                                        "--runtime", hanging, "--timeout", "1", "true"}));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(124));
    EXPECT_THAT(result.err, HasSubstr("launcher: --timeout 1 is over, and the container was not there"));
    expect_nobody_left();
  }
}

// By the kernel, when memory has run out, or by somebody.
TEST_P(Matrix, ARuntimeThatIsKilledIsNamed) {
  for (const std::string call : {"create", "start"}) {
    const std::string killed = file(std::filesystem::path(GetParam().runtime).filename());
    write_script(killed, "for word; do [ \"$word\" = " + call + " ] && kill -KILL $$; done\nexec " +
                             ours_or(GetParam().runtime) + " \"$@\"\n");
    const Result result = run(launcher(
        {"--dialect", "oci", "--monitor", ours_or(GetParam().monitor), "--runtime", killed, "true"}));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    // The real conmon keeps to itself how its runtime ended.
    const bool is_told = call == "start" || std::string(GetParam().monitor) != real_conmon;
    EXPECT_THAT(
        result.err,
        is_told
            ? ::testing::Matcher<std::string>(ContainsRegex("launcher: runtime: [^\n]*killed by signal 9"))
            : ::testing::Matcher<std::string>(HasSubstr(" has not said why the payload never ran\n")));
    expect_nobody_left();
  }
}

TEST_P(Matrix, ADeadMonitorsContainerEndsWithTheRun) {
  Words words = with_two_sockets({"--pidfile", file("pid"), "sh", "-c", "echo up; sleep 100; :"});
  words.insert(words.begin(), {"--dialect", "oci", "--monitor", ours_or(GetParam().monitor), "--runtime",
                               ours_or(GetParam().runtime)});
  Program chain(launcher(words));
  chain.wait_for_out("up");
  // Written whole, a moment after the payload has begun.
  wait_until("the pid file", [&] { return std::filesystem::exists(file("pid")); });
  ::kill(parent_of(std::stoi(read_file(file("pid")))), SIGKILL);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err, HasSubstr("died before it could tell the payload's exit status"));
}

// As when the machine has no time for it, or somebody debugs it.
TEST_P(Matrix, AMonitorThatStandsStillHoldsUpNeitherASignalNorTheTimeout) {
  struct Case {
    Words options;
    int status;
    std::string err;
  };
  const std::string late =
      "and 10 seconds later monitor \\(pid [0-9]+\\) had not told the payload's end; killed\n";
  const std::vector<Case> cases{
      {{}, 128 + SIGTERM, "launcher: signal 15 came, the payload has ended, " + late},
      {{"--timeout", "1"}, 124, "launcher: --timeout 1 is over, " + late}};
  for (const Case& one : cases) {
    Words words{"--dialect", "oci",
                "--monitor", ours_or(GetParam().monitor),
                "--runtime", ours_or(GetParam().runtime),
                "--pidfile", file("pid")};
    words.insert(words.end(), one.options.begin(), one.options.end());
    words = with_two_sockets(words);
    words.insert(words.end(), {"sh", "-c", "echo up; sleep 100; :"});
    Start start = launcher(words);
    std::filesystem::create_directory(file("tmp"));
    start.environment = {"TMPDIR=" + file("tmp")};
    Program chain(start);
    chain.wait_for_out("up");
    wait_for_file(file("pid"));
    ::kill(parent_of(std::stoi(read_file(file("pid")))), SIGSTOP);
    if (one.options.empty()) chain.signal(SIGTERM);
    const Result result = chain.finish();
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(one.status));
    EXPECT_THAT(result.err, MatchesRegex(one.err));
    expect_nobody_left();
    std::filesystem::remove(file("pid"));
    EXPECT_THAT(left_in(file("tmp")), IsEmpty());
  }
}

// Whoever is killed before it has started its container leaves none: not one that waits for a start, nor one
// that is being created, nor its directory.
TEST_P(Matrix, AKilledLauncherLeavesNoContainerThatWasNeverStarted) {
  const std::string runtime = ours_or(GetParam().runtime);
  const std::string killing = file(std::filesystem::path(runtime).filename());
  const std::string kill = "kill -KILL $(cat " + file("launcher") + ")";
  for (const std::string& at : {"*' create '*) " + kill,  //
                                "*' create '*) " + runtime + " \"$@\"; " + kill + "; exit 0",
                                "*' start '*) " + kill + "; exec sleep 100"}) {
    write_script(killing, "case \" $* \" in " + at + ";; esac\nexec " + runtime + " \"$@\"\n");
    Words words = with_two_sockets({"--monitor", ours_or(GetParam().monitor), "--runtime", killing,
                                    "--dialect", "oci", "--report", "text", "sleep", "100"});
    words.insert(words.begin(),
                 {"sh", "-c", "echo $$ > " + file("launcher") + "; exec \"$@\"", "sh", bin("launcher")});
    std::filesystem::create_directory(file("tmp"));
    Start start;
    start.argv = words;
    start.environment = {"TMPDIR=" + file("tmp")};
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_signal(SIGKILL)) << at << result.err;
    expect_nobody_left();
    EXPECT_THAT(left_in(file("tmp")), IsEmpty()) << at;
    EXPECT_FALSE(std::filesystem::exists(file("admin"))) << at;
  }
}

// Any user can write any word on a command line.
TEST_F(Real, AKilledLaunchersRunIsNotMistakenForAStrangersProcess) {
  std::filesystem::create_directory(file("tmp"));
  Start start = launcher({"--dialect", "oci", "--listen", "unix:" + file("s"), "sleep", "100"});
  start.environment = {"TMPDIR=" + file("tmp"), "FDCHAIN_STOP=monitor:arrival"};
  Program chain(start);
  const pid_t monitor = stopped_process(chain);
  const std::string place = file("tmp") + '/' + left_in(file("tmp")).front();
  Start stranger;
  stranger.argv = {"setpriv", "--reuid", "65534",          "--clear-groups", "sh", "-c", "echo up; read line",
                   "sh",      place,     place + "/bundle"};
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC), "pipe2");
  const OwnedFd theirs(ends[0]);
  OwnedFd ours(ends[1]);
  stranger.pass = {{theirs.get(), 0}};
  Program reader(stranger);
  reader.wait_for_out("up");
  chain.signal(SIGKILL);
  ::kill(monitor, SIGKILL);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_signal(SIGKILL));
  wait_until("the end of the run's directory, and of its socket",
             [&] { return left_in(file("tmp")).empty() && !std::filesystem::exists(file("s")); });
  ours.close();
  EXPECT_EQ(reader.finish().status, WaitStatus::for_exit_code(1));
}

TEST_P(Matrix, ADetachedRunCleansUpAfterItself) {
  const Result result =
      drive(with_two_sockets({"--detach", "--exit-file", file("exit"), "sh", "-c", "exit 5"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  expect_nobody_left();
  EXPECT_EQ(read_file(file("exit")), "5");
}

TEST_P(Matrix, ARootFileSystemOfItsOwnWorks) {
  make_rootfs(file("root"), true);
  const Result result = drive(with_two_sockets({"--network", "none", "--rootfs", file("root"), "--env", "A=b",
                                                "--workdir", "/bin", "payload", "report"}));
  ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  EXPECT_EQ(PayloadReport(result.out).adopted(), 2);
  EXPECT_THAT(verdict(), ElementsAreArray(expected_verdict()));
}

INSTANTIATE_TEST_SUITE_P(All, Matrix,
                         ::testing::Values(Mixture{real_conmon, crun}, Mixture{real_conmon, runc},
                                           Mixture{real_conmon, "runtime-shim"}, Mixture{"monitor", crun},
                                           Mixture{"monitor", runc}, Mixture{"monitor", "runtime-shim"}),
                         name_of);

// A real daemon behind a real chain: it serves who connects to the activator's socket.
TEST_P(Matrix, ARealDaemonServesOnItsSocket) {
  const std::string path = file("admin");
  Words words{"--dialect",      "oci",
              "--monitor",      ours_or(GetParam().monitor),
              "--runtime",      ours_or(GetParam().runtime),
              "--listen",       "unix:" + path,
              "dbus-daemon",    "--session",
              "--nofork",       "--address=systemd:",
              "--print-address"};
  Program chain(launcher(words));
  chain.wait_for_out("unix:path=");
  Start client;
  client.argv = {"dbus-send",
                 "--bus=unix:path=" + path,
                 "--print-reply",
                 "--dest=org.freedesktop.DBus",
                 "/org/freedesktop/DBus",
                 "org.freedesktop.DBus.GetId"};
  const Result answer = run(client);
  EXPECT_EQ(answer.status, WaitStatus::for_exit_code(0)) << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("string"));
  chain.signal(SIGTERM);
  chain.finish();
}

TEST_F(Real, ADryRunSaysWhatTheRealHopsWouldBeTold) {
  const Result result = run(launcher({"dry-run", "--monitor", real_conmon, "--runtime", crun, "--listen",
                                      "unix:" + file("admin") + ",name=admin", "payload"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("  announces: _OCI_SYNCPIPE=4 _OCI_STARTPIPE=5\n  keep 3 "),
                                HasSubstr("  exec                         /usr/bin/conmon\n"),
                                HasSubstr("  is told: /usr/bin/conmon --api-version --cid "),
                                HasSubstr(" --runtime-opt --preserve-fds --runtime-opt 1"),
                                HasSubstr(" create --bundle /tmp/fdchain-XXXXXX/bundle --pid-file "),
                                HasSubstr(" start fdchain-XXXXXX\n"),
                                HasSubstr("\"LISTEN_FDS=1\",\"LISTEN_FDNAMES=admin\",\"LISTEN_PID=1\"")));
}

TEST_F(Real, AProgramOfTheCallersDirectoryAndOurHopsByTheirNamesAreFound) {
  write_script(file("mydaemon"), "echo from here\n");
  const auto here = [&](const std::string& monitor, const std::string& runtime) {
    Start start = launcher({"--dialect", "oci", "--monitor", monitor, "--runtime", runtime, "./mydaemon"});
    start.working_directory = file("");
    const Result result = run(start);
    EXPECT_EQ(result.out, "from here\n") << result.err;
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  };
  here("monitor", "runtime-shim");
  here(real_conmon, "runc");
}

// A launcher ends what is its own, whatever number stands in the monitor's pid file.
TEST_F(Real, APidFileThatNamesSomebodyElseEndsNobodyElse) {
  Start sleeper;
  sleeper.argv = {"sh", "-c", "echo up; exec sleep 1000"};
  Program bystander(sleeper);
  bystander.wait_for_out("up");
  write_script(file("runtime"), "for word; do [ \"$word\" = create ] && exec sleep 1000; done\n");
  write_script(file("monitor"),
               "for word; do [ \"$before\" = --conmon-pidfile ] && pidfile=$word; before=$word; done\n'" +
                   bin("monitor") + "' \"$@\" && echo " + std::to_string(bystander.pid()) + " > $pidfile\n");
  const Result result = run(launcher({"--dialect", "oci", "--monitor", file("monitor"), "--runtime",
                                      file("runtime"), "--timeout", "1", "true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(124));
  bystander.signal(SIGINT);
  EXPECT_EQ(bystander.finish().status, WaitStatus::for_signal(SIGINT));
}

// --- what the real programs do wrong, found by the judge alone

TEST_F(Real, TheJudgeFindsTheRuntimesLogInADoubledRange) {
  // As podman 4.8 tells conmon and crun: by --preserve-fds and by LISTEN_FDS.
  const Result result =
      drive(real_conmon, crun, with_two_sockets({"--profile", "launcher=podman-4.8", "payload", "report"}));
  ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  EXPECT_EQ(PayloadReport(result.out).type(5), "REG");
  EXPECT_THAT(verdict_beside_conmon(), ElementsAre("listen-pid-stale by launcher at monitor",
                                                   "preserve-count-wrong by runtime-shim at payload"));
}

TEST_F(Real, TheJudgeFindsThatCrunDropsListenFds) {
  drive(real_conmon, crun, with_two_sockets({"--profile", "launcher=cri-o", "payload", "report"}));
  EXPECT_THAT(verdict_beside_conmon(), ElementsAre("env-dropped by runtime-shim at payload"));
}

TEST_F(Real, TheJudgeFindsThatRuncDropsTheNames) {
  drive(real_conmon, runc, with_two_sockets({"--profile", "launcher=cri-o", "payload", "report"}));
  EXPECT_THAT(verdict_beside_conmon(), ElementsAre("fdnames-mismatch by runtime-shim at payload"));
}

TEST_F(Real, TheJudgeFindsWhatRuncKeepsOfItsOwn) {
  drive(real_conmon, runc, with_two_sockets({"--fault", "launcher:preserve-more=2", "payload", "report"}));
  EXPECT_THAT(verdict_beside_conmon(), ElementsAre("preserve-count-wrong by launcher at monitor",
                                                   "preserve-count-wrong by runtime-shim at payload"));
}

}  // namespace
}  // namespace fdchain::test
