// The monitor in conmon's dialect, over a fake runtime: where conmon 2.1.6 fails or says nothing, and what
// cannot be compared with it.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "fdchain/protocol/attach.h"
#include "fdchain/protocol/conmon_sync.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/wait_until.h"
#include "integration/real/conmon_fixture.h"
#include "tests/support/process_memory.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Until a file that somebody writes to grows no more.
void wait_until_still(const std::string& path) {
  std::uintmax_t before = 0;
  const auto stands_still = [&] {
    const std::uintmax_t now = fs::file_size(path);
    return now > 0 && std::exchange(before, now) == now;
  };
  wait_until(path + " to stand still", stands_still, std::chrono::milliseconds(200));
}

// --- where conmon 2.1.6 fails or says nothing ---

TEST_F(Conmon, ASilentRuntimeIsReportedToo) {
  MonitorStart start = ours("");
  write_script(start.runtime, "exit 3");
  Monitored monitored(std::move(start));
  EXPECT_THAT(monitored.hear_all(), ElementsAre(HasSubstr("exited with status 3 and said nothing")));
}

TEST_F(Conmon, ARuntimeWithoutAPidFileIsReported) {
  MonitorStart start = ours("");
  write_script(start.runtime, "exit 0");
  std::ofstream(start.directory + "/pidfile") << "1";  // of another time
  Monitored monitored(std::move(start));
  EXPECT_THAT(monitored.hear_all(), ElementsAre(StartsWith("{\"data\": -1, \"message\": \"monitor: ")));
}

TEST_F(Conmon, AListenPidThatIsNoneIsReported) {
  for (const std::string pid : {"x", "0", "-1", "99999999999999999999"}) {
    MonitorStart start = ours("exit 5");
    start.environment = {"LISTEN_PID=" + pid, "LISTEN_FDS=1"};
    EXPECT_THAT(Monitored(std::move(start)).hear_all(),
                ElementsAre(StartsWith("{\"data\": -1, \"message\": \"monitor: Invalid LISTEN_PID " +
                                       pid.substr(0, 10))));
  }
}

// Writes what `value` says as the container's pid.
void let_runtime_name(const MonitorStart& start, const std::string& value) {
  write_script(start.runtime,
               "while [ $# -gt 1 ]; do [ \"$1\" = --pid-file ] && pidfile=$2; shift; done\n" + value);
}

// What a runtime names by mistake, the number in the container's pid namespace say, may be anybody's.
TEST_F(Conmon, AProcessOfAnybodyElsesIsRefusedAndLeftAlone) {
  Start sleeper;
  sleeper.argv = {"sh", "-c", "echo up; exec sleep 1000"};
  Program bystander(sleeper);
  bystander.wait_for_out("up");
  for (const std::string& pid : {std::to_string(bystander.pid()), std::string("1")}) {
    MonitorStart start = ours("");
    let_runtime_name(start, "echo " + pid + " > \"$pidfile\"");
    const std::string runtime = start.runtime;
    Monitored monitored(std::move(start));
    EXPECT_THAT(monitored.hear_all(),
                ElementsAre("{\"data\": -1, \"message\": \"monitor: " + runtime + " named process " + pid +
                            " as the container's, which is none of this monitor's\"}\n"));
    EXPECT_FALSE(fs::exists(monitored.file("exits/container")));
  }
  bystander.signal(SIGINT);
  EXPECT_EQ(bystander.finish().status, WaitStatus::for_signal(SIGINT)) << "and nothing else ended it";
}

// A process that the runtime leaves behind is the container's parent: its end is seen, its status is not.
TEST_F(Conmon, AContainerThatItsRuntimeKeepsIsSignalledAndItsEndPublished) {
  for (const bool by_timeout : {false, true}) {
    MonitorStart start = ours("");
    if (by_timeout) start.options.insert(start.options.end(), {"--timeout", "1"});
    let_runtime_name(start,
                     "mkfifo $0.named; (sleep 1000 & echo $! > \"$pidfile\"; : > $0.named; wait) &\n"
                     "read line < $0.named; true\n");
    Monitored monitored(std::move(start));
    EXPECT_GT(monitored.container(), 0);
    if (!by_timeout) ::kill(monitored.monitor(), SIGTERM);
    EXPECT_THAT(monitored.outcome(), HasSubstr("exit file: -1\n"));
  }
}

TEST_F(Conmon, ALongMessageFitsIntoWhatPodmanReads) {
  MonitorStart start = ours("");
  write_script(start.runtime, "yes '\"quoted\"' | head -c 100000 >&2; exit 1");
  Monitored monitored(std::move(start));
  const auto messages = monitored.hear_all();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_LE(messages.front().size(), conmon_message_max);
  EXPECT_GT(messages.front().size(), conmon_message_max - 10);
  EXPECT_TRUE(decode_conmon_message(messages.front()));
}

TEST_F(Conmon, AProcessThatHoldsTheRuntimesStderrDoesNotHoldUpTheReport) {
  MonitorStart start = ours("");
  write_script(start.runtime, "sleep 1000 & echo $! > '" + file("left") + "'; echo boom >&2; exit 1");
  Monitored monitored(std::move(start));
  EXPECT_THAT(monitored.hear(), HasSubstr("boom"));
  ::kill(std::stoi(read_file(file("left"))), SIGKILL);
}

TEST_F(Conmon, ABundleThatIsNotThereIsReported) {
  MonitorStart start = ours("exit 1");
  start.options.insert(start.options.end(), {"-b", file("nowhere")});
  Monitored monitored(std::move(start));
  EXPECT_THAT(monitored.hear_all(), ElementsAre(HasSubstr("nowhere: No such file or directory")));
}

TEST_F(Conmon, ACallerThatHasGoneChangesNothing) {
  MonitorStart start = ours("echo out; exit 5");
  start.sync_reader = false;
  EXPECT_THAT(Monitored(std::move(start)).outcome(), HasSubstr("TIME stdout F out\nexit file: 5\n"));
}

TEST_F(Conmon, AFullDiskDoesNotStopTheContainer) {
  MonitorStart start = ours("seq 10000; exit 5");
  start.log = "k8s-file:/dev/full";
  EXPECT_THAT(Monitored(std::move(start)).outcome(), HasSubstr("exit file: 5\n"));
}

TEST_F(Conmon, WithoutADirectoryForTheLinkToTheBundleItIsReported) {
  MonitorStart start = ours("exit 5", {"--api-version", "--socket-dir-path", file("nowhere")});
  start.full_attach = false;
  Monitored monitored(std::move(start));
  EXPECT_THAT(monitored.hear_all(),
              ElementsAre(HasSubstr("nowhere/container-0123456789: No such file or directory")));
}

TEST_F(Conmon, ALongBundlePathIsNoHindrance) {
  MonitorStart start = ours("read go; echo \"$go\"", {"--api-version", "-i"});
  start.directory += '/' + std::string(200, 'x');
  fs::create_directory(start.directory);
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const OwnedFd client = attach_to(bundle);
  ASSERT_EQ(::send(client.get(), "far\n", 4, 0), 4);
  EXPECT_EQ(read_frames(client.get()).out, "far\n");
}

TEST_F(Conmon, AnotherUserCanOpenItsStdoutAnew) {
  EXPECT_THAT(
      Monitored(ours("exec setpriv --reuid 65534 sh -c 'echo out > /dev/stdout; echo err > /dev/stderr'"))
          .outcome(),
      HasSubstr("log:\nTIME stderr F err\nTIME stdout F out\nexit file: 0\n"));
}

TEST_F(Conmon, ARuntimeAtWorkEndsWithItsMonitor) {
  MonitorStart start = ours("");
  write_script(start.runtime, "echo $$ > at-work.new; mv at-work.new at-work; exec sleep 1000");
  Monitored monitored(std::move(start));
  wait_for_file(monitored.file("at-work"));
  ASSERT_EQ(::kill(monitored.monitor(), SIGKILL), 0);
  EXPECT_EQ(monitored.hear(), "");
  expect_nobody_left();
}

TEST_F(Conmon, WhatCannotBeHadIsRefusedBeforeTheCallerIsLeft) {
  const Monitored monitored(ours("exit 5", {"--api-version", "--seccomp-notify-socket", "/s"}));
  EXPECT_EQ(monitored.foreground().status, WaitStatus::for_exit_code(1));
  EXPECT_THAT(monitored.foreground().err, StartsWith("monitor: --seccomp-notify-socket and "));
}

// --- options that conmon 2.1.6 does not know yet ---

TEST_F(Conmon, LogsAreWrittenWhereThatIsAllowedAlone) {
  for (const auto* const name : {"allowed", "allowed/below", "allowed-not"}) fs::create_directory(file(name));
  fs::create_directory_symlink(file("allowed"), file("into"));
  fs::create_directory_symlink(file("allowed-not"), file("allowed/out"));
  fs::create_symlink(file("allowed-not/made"), file("allowed/dangling"));
  const auto verdict = [&](const std::string& log) {
    MonitorStart start = ours("echo out", {"--api-version", "--log-allowlist-dir", file("other"),
                                           "--log-allowlist-dir", file("allowed")});
    start.log = "k8s-file:" + file(log);
    start.go = false;
    Monitored monitored(std::move(start));
    expect_nobody_left();
    return monitored.foreground().status.describe() + ": " + monitored.foreground().err;
  };
  for (const std::string log :
       {"allowed/log", "allowed/below/log", "into/log", "allowed-not/../allowed/last"}) {
    EXPECT_EQ(verdict(log), "exited with status 0: ");
    EXPECT_EQ(without_times(read_file(file(log))), "TIME stdout F out\n");
    fs::remove(file(log));
  }
  for (const std::string log : {"log", "allowed-not/log", "allowed/../log", "allowed/out/log"}) {
    EXPECT_EQ(verdict(log), "exited with status 1: monitor: --log-path " + file(log) +
                                ": not below any --log-allowlist-dir\n");
    EXPECT_FALSE(fs::exists(file(log)));
  }
  EXPECT_THAT(verdict("allowed/dangling"), HasSubstr("dangling: Too many levels of symbolic links"));
  EXPECT_TRUE(fs::is_empty(file("allowed-not")));
}

// --- what goes wrong beside a container does not end its being watched ---

TEST_F(Conmon, WithoutInotifyTheContainerIsWatchedAllTheSame) {
  MonitorStart start = call(ours_after("-m",
                                       "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && "
                                       "exec unshare -U -r \"$0.poor\" \"$@\""),
                            "exit 5");
  write_script(file("monitor-in-a-world-of-its-own.inside.poor"),
               "echo 0 > /proc/sys/user/max_inotify_instances && exec '" + bin("monitor") + "' \"$@\"\n");
  EXPECT_THAT(Monitored(std::move(start)).outcome(), HasSubstr("exit file: 5\n"));
}

// memory.events of version 2, wherever the memory controller really is: a file of this test's in its place.
TEST_F(Conmon, OnlyWhatIsKilledInItsTimeIsTold) {
  const std::string cgroup = "/sys/fs/cgroup/fdchain-conmon-" + std::to_string(::getpid());
  for (const bool killed : {false, true}) {
    const std::string kills = "echo 'oom_kill 4' > " + cgroup + "/memory.events; ";
    MonitorStart start = call(
        ours_after("-m", "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && mkdir -p " +
                             cgroup + " && echo $$ > " + cgroup + "/cgroup.procs && mount -t tmpfs none " +
                             cgroup + " && echo 'oom_kill 3' > " + cgroup + "/memory.events"),
        "read go; " + (killed ? kills : "") + "exit 5", {"--api-version", "-i"});
    const std::string bundle = start.directory;
    Monitored monitored(std::move(start));
    // Whose pid has been told is watched. A container is started after that by whoever was told.
    monitored.container();
    const OwnedFd client = attach_to(bundle);
    ASSERT_EQ(::send(client.get(), "go\n", 3, 0), 3);
    EXPECT_THAT(monitored.outcome(), HasSubstr("exit file: 5\n"));
    EXPECT_EQ(fs::exists(bundle + "/oom"), killed);
  }
  Start clean_up;
  clean_up.argv = {"unshare", "-m", "sh", "-c",
                   "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && rmdir " + cgroup};
  EXPECT_EQ(run(clean_up).err, "");
}

TEST_F(Conmon, ARuntimeThatSaysMuchIsLoggedWhole) {
  MonitorStart start = ours("exit 5");
  let_runtime(start, "seq 300000 >&2");
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.hear_all();
  const std::string log = read_file(bundle + "/log");
  EXPECT_GT(log.size(), std::size_t{2} << 20);
  std::istringstream lines(log);
  std::string text;
  for (std::string stamp, stream, tag, rest;
       lines >> stamp >> stream >> tag && lines.ignore(1) && std::getline(lines, rest);)
    text += rest + (tag == "F" ? "\n" : "");
  std::string expected;
  for (int number = 1; number <= 300'000; ++number) expected += std::to_string(number) + '\n';
  EXPECT_TRUE(text == expected) << text.size() << " bytes instead of " << expected.size();
}

TEST_F(Conmon, AWrongHandshakeIsRefusedBeforeTheCallerIsLeft) {
  for (const std::string name : {"_OCI_SYNCPIPE", "_OCI_STARTPIPE"}) {
    MonitorStart call = ours("");
    Start plain;
    plain.argv = {call.program, "-c", "a", "-u", "a", "-r", call.runtime, "-b", call.directory, "-l", "none"};
    const auto refusal = [&](const std::string& program, const std::string& number) {
      Start start = plain;
      start.argv.front() = program;
      // conmon looks at the first of them when it has left its caller, if it leaves it.
      if (program == "conmon") start.argv.emplace_back("--sync");
      start.environment = {name + '=' + number};
      const Result result = run(start);
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
      return result.err;
    };
    for (const std::string number : {"x", "7x", "1000", "-3"})
      EXPECT_EQ(refusal(call.program, number), refusal("conmon", number)) << number;
    // conmon would take stderr for it.
    EXPECT_THAT(refusal(call.program, "2"), StartsWith("monitor: " + name + "=2: "));
  }
}

TEST_F(Conmon, WithoutADirectoryForTheExitFileTheExitCommandRunsAllTheSame) {
  MonitorStart start = ours("exit 5");
  write_script(start.directory + "/clean-up", "echo yes > '" + file("cleaned") + "'\n");
  start.options.insert(start.options.end(),
                       {"--exit-dir", file("nowhere"), "--exit-command", start.directory + "/clean-up"});
  Monitored(std::move(start)).outcome();
  EXPECT_EQ(read_file(file("cleaned")), "yes\n");
}

// What conmon 2.2 says, of options that 2.1.6 does not have.
TEST_F(Conmon, WarnsOfPartialMessagesWithoutAJournal) {
  MonitorStart call = ours("", {"--api-version", "--no-container-partial-message"});
  EXPECT_EQ(Monitored(std::move(call)).foreground().err,
            "monitor: warning: --no-container-partial-message has no effect without journald log driver\n");
}

TEST_F(Conmon, TheDialectIsReadOffTheCommandLine) {
  const auto says = [](const Words& words) {
    Start start;
    start.argv = words;
    start.argv.insert(start.argv.begin(), bin("monitor"));
    const Result result = run(start);
    return result.status.describe() + ": " + result.out + result.err;
  };
  const std::string no_id = "exited with status 1: conmon: Container ID not provided. Use --cid\n";
  const std::string native = "exited with status 0: --cid\n";
  EXPECT_EQ(says({"--api-version", "1"}), no_id);
  EXPECT_EQ(
      says({}),
      "exited with status 1: conmon: Container ID not provided. Use --cid (or name a RUNTIME to run; see "
      "--help)\n");
  EXPECT_EQ(says({"--log-level", "warn", "--timeout=5", "-ti"}), no_id) << "both dialects have the first two";
  EXPECT_EQ(says({"echo", "--cid"}), native);
  EXPECT_EQ(says({"--", "echo", "--cid"}), native);
  EXPECT_EQ(says({"--timeout", "5", "--no-stdin", "--log", "passthrough", "echo", "--cid"}), native);
  EXPECT_EQ(says({"--exit-file", file("--sync"), "echo", "--cid"}), native);
  EXPECT_THAT(says({"--cid", "x", "--bogus"}),
              StartsWith("exited with status 1: conmon: option parsing failed"));
  EXPECT_THAT(says({"--bogus", "x", "--cid", "x"}),
              StartsWith("exited with status 1: conmon: option parsing failed"));
  EXPECT_THAT(says({"--bogus"}), StartsWith("exited with status 125: monitor: "));
}

// --- streams and clients ---

// podman reads the status of an exec when its client has its end, and the exit command removes what holds it.
TEST_F(Conmon, ClientsHaveTheirEndBeforeTheExitCommandRuns) {
  const std::string released = file("released");
  const std::string script = file("exit-command");
  ASSERT_EQ(::mkfifo(released.c_str(), 0600), 0);
  write_script(script, "read line < '" + released + "'\n");
  MonitorStart start = ours("read go; exit 5", {"--api-version", "-i", "--exit-command", script});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const OwnedFd client = attach_to(bundle);
  ASSERT_EQ(::send(client.get(), "go\n", 3, 0), 3);
  read_frames(client.get());  // to the end, which the exit command waits for
  std::ofstream(released) << "go on\n";
  EXPECT_THAT(monitored.outcome(), HasSubstr("exit file: 5\n"));
}

TEST_F(Conmon, ClientsWriteToStdinAndEveryOneReadsEverything) {
  MonitorStart start = ours("read first; echo \"got $first\"; cat; echo done >&2", {"--api-version", "-i"});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const OwnedFd writer = attach_to(bundle);
  const OwnedFd reader = attach_to(bundle);
  ASSERT_EQ(::send(writer.get(), "one\ntwo\n", 8, 0), 8);
  ASSERT_EQ(::shutdown(writer.get(), SHUT_WR), 0);
  for (const OwnedFd* const client : {&writer, &reader}) {
    const Attached attached = read_frames(client->get());
    EXPECT_EQ(attached.out, "got one\ntwo\n");
    EXPECT_EQ(attached.err, "done\n");
  }
  EXPECT_EQ(monitored.hear(), "");
  EXPECT_EQ(read_file(monitored.file("exits/container")), "0");
  EXPECT_FALSE(fs::exists(bundle + "/attach"));
}

TEST_F(Conmon, StdinStaysOpenWhenThatIsAskedFor) {
  MonitorStart start =
      ours("read first; read second; echo \"$first $second\"", {"--api-version", "-i", "--leave-stdin-open"});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const OwnedFd first = attach_to(bundle);
  ASSERT_EQ(::send(first.get(), "one\n", 4, 0), 4);
  ASSERT_EQ(::shutdown(first.get(), SHUT_WR), 0);
  const OwnedFd second = attach_to(bundle);
  ASSERT_EQ(::send(second.get(), "two\n", 4, 0), 4);
  EXPECT_EQ(read_frames(second.get()).out, "one two\n");
}

TEST_F(Conmon, MoreInputThanAPipeHoldsArrivesWhole) {
  MonitorStart start = ours("sha256sum", {"--api-version", "-i"});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const OwnedFd client = attach_to(bundle);
  const std::string packet(32'000, 'x');
  for (int i = 0; i < 40; ++i) ASSERT_EQ(::send(client.get(), packet.data(), packet.size(), 0), 32'000);
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  Start expected;
  expected.argv = {"sha256sum"};
  for (int i = 0; i < 40; ++i) expected.input += packet;
  EXPECT_EQ(read_frames(client.get()).out, run(expected).out);
}

TEST_F(Conmon, AClientThatNeverReadsHoldsUpNeitherSignalsNorTheEnd) {
  MonitorStart start = ours("trap 'exit 7' TERM; yes & wait", {"--api-version"});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const OwnedFd lazy = attach_to(bundle);
  const std::string log = monitored.file("log");
  // The log stands still when the client's socket is full, since the container waits for it.
  wait_until_still(log);
  ASSERT_EQ(::kill(monitored.monitor(), SIGTERM), 0);
  EXPECT_EQ(monitored.hear(), "");
  EXPECT_EQ(read_file(monitored.file("exits/container")), "7");
}

TEST_F(Conmon, AClientThatReadsSlowlyGetsTheEndToo) {
  MonitorStart start = ours("trap 'exit 7' TERM; read go; yes & wait", {"--api-version", "-i"});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const OwnedFd slow = attach_to(bundle);
  ASSERT_EQ(::send(slow.get(), "go\n", 3, 0), 3);
  const std::string log = monitored.file("log");
  wait_until_still(log);
  ASSERT_EQ(::kill(monitored.monitor(), SIGTERM), 0);
  // Slowness is what this is about: a frame in three seconds, and for longer than is waited for one that
  // stops.
  std::string out;
  for (int i = 0; i < 2; ++i) {
    ::poll(nullptr, 0, 3000);
    const auto frame = decode_attach_frame(receive_packet(slow.get()));
    ASSERT_TRUE(frame);
    out += frame->bytes;
  }
  out += read_frames(slow.get()).out;
  EXPECT_EQ(monitored.hear(), "");
  const std::string logged = read_file(log);
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = logged.find(" F y\n", at)) != std::string::npos; ++at) ++lines;
  EXPECT_EQ(out.size(), lines * 2) << "the client and the log differ";
  EXPECT_EQ(read_file(monitored.file("exits/container")), "7");
}

TEST_F(Conmon, WithoutADescriptorForAClientItIsNotAskedForAgainAndAgain) {
  MonitorStart start = ours("read line; echo \"$line\"", {"--api-version", "-i"});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const pid_t monitor = monitored.monitor();
  rlimit before{};
  ASSERT_EQ(::prlimit(monitor, RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit none{3, before.rlim_max};
  ASSERT_EQ(::prlimit(monitor, RLIMIT_NOFILE, &none, nullptr), 0);
  const OwnedFd client = attach_to(bundle);
  const auto ticks = [&] {
    std::istringstream stat(read_file("/proc/" + std::to_string(monitor) + "/stat"));
    std::string word;
    for (int field = 1; field < 14; ++field) stat >> word;
    long user = 0;
    long system = 0;
    stat >> user >> system;
    return user + system;
  };
  const long at_first = ticks();
  ::poll(nullptr, 0, 1000);
  EXPECT_LT(ticks() - at_first, 10) << "of a hundred in a second";
  ASSERT_EQ(::prlimit(monitor, RLIMIT_NOFILE, &before, nullptr), 0);
  ASSERT_EQ(::send(client.get(), "taken\n", 6, 0), 6);
  EXPECT_EQ(read_frames(client.get()).out, "taken\n");
}

TEST_F(Conmon, ControlLinesReopenTheLog) {
  MonitorStart start = ours("echo before; read line; echo after", {"--api-version", "-i"});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const OwnedFd client = attach_to(bundle);
  wait_for_text(bundle + "/log", "before");
  fs::rename(bundle + "/log", bundle + "/log.old");
  std::ofstream(bundle + "/ctl") << "9 9 9\n2 0 0\n";
  wait_for_file(bundle + "/log");
  ASSERT_EQ(::send(client.get(), "go\n", 3, 0), 3);
  EXPECT_EQ(monitored.hear(), "");
  EXPECT_EQ(without_times(read_file(bundle + "/log.old")), "TIME stdout F before\n");
  EXPECT_EQ(without_times(read_file(bundle + "/log")), "TIME stdout F after\n");
}

// As conmon 2.2 does it.
TEST_F(Conmon, ControlLinesRotateTheLogWhereOldOnesAreKept) {
  MonitorStart start = ours("echo before; read line; echo between; read line; echo after",
                            {"--api-version", "-i", "--log-rotate", "--log-max-files", "2"});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const OwnedFd client = attach_to(bundle);
  wait_for_text(bundle + "/log", "before");
  std::ofstream(bundle + "/ctl") << "2 1 1\n";
  wait_for_file(bundle + "/log.1");
  ASSERT_EQ(::send(client.get(), "go\n", 3, 0), 3);
  wait_for_text(bundle + "/log", "between");
  fs::rename(bundle + "/log", bundle + "/log.moved");  // by somebody who rotates logs himself
  std::ofstream(bundle + "/ctl") << "2 0 0\n";
  wait_for_file(bundle + "/log");
  ASSERT_EQ(::send(client.get(), "go\n", 3, 0), 3);
  EXPECT_EQ(monitored.hear(), "");
  EXPECT_EQ(without_times(read_file(bundle + "/log.1")), "TIME stdout F before\n");
  EXPECT_EQ(without_times(read_file(bundle + "/log.moved")), "TIME stdout F between\n");
  EXPECT_EQ(without_times(read_file(bundle + "/log")), "TIME stdout F after\n");
}

TEST_F(Conmon, MemoryIsGivenBackAfterTheStartAndAfterEveryBurstOfWork) {
  MonitorStart start = ours("read line; echo said; read line", {"--api-version", "-i"});
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const auto mapped = [&] { return resident_code_kb(monitored.monitor(), "/monitor"); };
  const long at_start = mapped();
  const auto wait_until_it_rests = [&] {
    wait_until("less memory", [&] { return mapped() <= at_start / 2; });
  };
  wait_until_it_rests();
  const OwnedFd client = attach_to(bundle);
  ASSERT_EQ(::send(client.get(), "go\n", 3, 0), 3);
  wait_for_text(bundle + "/log", "said");
  // What this has mapped is more than half of the start's.
  wait_until_it_rests();
  ASSERT_EQ(::send(client.get(), "go\n", 3, 0), 3);
  EXPECT_EQ(monitored.hear(), "");
}

TEST_F(Conmon, FullLogsAreKeptWhereThatIsAskedFor) {
  MonitorStart start = ours("seq 30 > $0.x; cat $0.x", {"--api-version", "--log-size-max", "480",
                                                        "--log-rotate", "--log-max-files", "2"});
  const std::string bundle = start.directory;
  Monitored(std::move(start)).outcome();
  EXPECT_THAT(read_file(bundle + "/log"), HasSubstr("stdout F 30\n"));
  EXPECT_THAT(read_file(bundle + "/log.1"), HasSubstr("stdout F 20\n"));
  EXPECT_THAT(read_file(bundle + "/log.2"), HasSubstr("stdout F 10\n"));
  EXPECT_FALSE(fs::exists(bundle + "/log.3"));
}

TEST_F(Conmon, ExecSessionsWaitForTheirClient) {
  MonitorStart start =
      ours("echo out; exit 9", {"--api-version", "-e", "--exec-attach", "--exec-process-spec", "/s"});
  const std::string bundle = start.directory;
  check(::mkfifo((bundle + "/started").c_str(), 0600), "mkfifo");
  const OwnedFd says_so(check(::open((bundle + "/started").c_str(), O_RDWR | O_CLOEXEC), "open"));
  let_runtime(start, "echo yes > '" + bundle + "/started'");
  SocketPair sync = make_socket_pair();
  SocketPair go = make_socket_pair();
  SocketPair attach = make_socket_pair();
  Start call;
  call.argv = {
      start.program,   "-c", "a",   "-u", "a", "-r", start.runtime, "-b", bundle, "-p", bundle + "/pid",
      "--full-attach", "-l", "none"};
  call.argv.insert(call.argv.end(), start.options.begin(), start.options.end());
  call.pass = {{sync.theirs.get(), 3}, {go.theirs.get(), 4}, {attach.theirs.get(), 5}};
  call.environment = {"_OCI_SYNCPIPE=3", "_OCI_STARTPIPE=4", "_OCI_ATTACHPIPE=5"};
  Program program(call);
  for (SocketPair* const pair : {&sync, &go, &attach}) pair->theirs.close();
  const auto hear = [](const OwnedFd& pipe) { return receive_packet(pipe.get()); };
  ASSERT_EQ(::send(go.ours.get(), "", 1, 0), 1);
  EXPECT_EQ(hear(attach.ours), "{\"data\": 0}\n");
  pollfd started{says_so.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&started, 1, 300), 0) << "started before its client was there";
  const OwnedFd client = attach_to(bundle);
  ASSERT_EQ(::send(go.ours.get(), "", 1, 0), 1);
  EXPECT_EQ(::poll(&started, 1, 90'000), 1);
  EXPECT_EQ(read_frames(client.get()).out, "out\n");
  EXPECT_EQ(hear(sync.ours), "{\"data\": " + read_file(bundle + "/pid") + "}\n");
  EXPECT_EQ(hear(sync.ours), "{\"data\": 9}\n");
  EXPECT_EQ(program.finish().status, WaitStatus::for_exit_code(0));
}

/// An attached exec session whose pipes are what `environment` and `pass` say; it stays in the foreground.
class AttachPipe : public Conmon {
 protected:
  Result exec_session(const Words& environment, std::vector<std::pair<int, int>> pass) {
    const MonitorStart session = ours("exit 9");
    Start call;
    call.argv = {session.program,
                 "--api-version",
                 "-e",
                 "--exec-attach",
                 "--exec-process-spec",
                 "/s",
                 "--sync",
                 "-c",
                 "a",
                 "-u",
                 "a",
                 "-r",
                 session.runtime,
                 "-b",
                 session.directory,
                 "-p",
                 session.directory + "/pid",
                 "--full-attach",
                 "-l",
                 "none"};
    call.pass = std::move(pass);
    call.environment = environment;
    return run(call);
  }
};

// A shell's caller has pipes and FIFOs, and conmon takes them.
TEST_F(AttachPipe, MayBeAPipe) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  const OwnedFd ours(ends[0]);
  OwnedFd theirs(ends[1]);
  EXPECT_EQ(exec_session({"_OCI_ATTACHPIPE=5"}, {{theirs.get(), 5}}).status, WaitStatus::for_exit_code(9));
  theirs.close();
  EXPECT_EQ(read_all(ours.get()), "{\"data\": 0}\n");
}

TEST_F(AttachPipe, MayHaveNobodyAtItsOtherEnd) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  const OwnedFd theirs(ends[1]);
  ::close(ends[0]);
  EXPECT_EQ(exec_session({"_OCI_ATTACHPIPE=5"}, {{theirs.get(), 5}}).status, WaitStatus::for_exit_code(9));
}

// conmon reads it, and the end is a go.
TEST_F(AttachPipe, NeedsNoStartPipeThatCanBeWaitedFor) {
  const SocketPair attach = make_socket_pair();
  const OwnedFd null(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "open"));
  EXPECT_EQ(
      exec_session({"_OCI_STARTPIPE=4", "_OCI_ATTACHPIPE=5"}, {{null.get(), 4}, {attach.theirs.get(), 5}})
          .status,
      WaitStatus::for_exit_code(9));
}

TEST_F(AttachPipe, IsAskedForInConmonsWords) {
  const Result result = exec_session({}, {});
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_EQ(result.err, "[conmon:e]: --attach specified but _OCI_ATTACHPIPE was not\n");
}

class Journal : public Conmon {
 protected:
  OwnedFd bind_journal() {
    fs::create_directory(file("journal"));
    return bind_datagram(file("journal/socket"));
  }
  std::string ours_with_journal() {
    return ours_after("-m", "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind '" +
                                file("journal") + "' /run/systemd/journal");
  }
};

TEST_F(Journal, ABurstReachesItWhole) {
  const OwnedFd journal = bind_journal();
  MonitorStart start =
      call(ours_with_journal(), "seq 5000; echo err >&2; printf end; exit 5",
           {"--api-version", "--name", "box", "--log-tag", "tag", "--log-label", "COLOUR=red"});
  start.log = "journald";
  Monitored monitored(std::move(start));
  std::vector<std::string> out;
  std::vector<std::string> others;
  while (out.size() < 5000 || others.size() < 2) {
    const std::string record = receive_packet(journal.get());
    const std::string line = record.substr(0, record.find('\n'));
    if (record.find("PRIORITY=3") == std::string::npos && record.find("PARTIAL") == std::string::npos)
      out.push_back(line);
    else
      others.push_back(record);
  }
  std::vector<std::string> expected;
  for (int number = 1; number <= 5000; ++number) expected.push_back("MESSAGE=" + std::to_string(number));
  EXPECT_TRUE(out == expected) << out.size() << " records";
  const std::string fields =
      "CONTAINER_ID_FULL=container-0123456789\nCONTAINER_ID=container-01\nCONTAINER_TAG=tag\nCONTAINER_NAME="
      "box\n"
      "SYSLOG_IDENTIFIER=tag\nCOLOUR=red\n";
  EXPECT_THAT(others, ::testing::UnorderedElementsAre(
                          "MESSAGE=err\n" + fields + "PRIORITY=3\n",
                          "MESSAGE=end\n" + fields + "PRIORITY=6\nCONTAINER_PARTIAL_MESSAGE=true\n"));
  EXPECT_THAT(monitored.outcome(), HasSubstr("exit file: 5\n"));
}

TEST_F(Journal, APartialRecordIsNotMarkedWhereThatIsNotWanted) {
  const OwnedFd journal = bind_journal();
  MonitorStart start =
      call(ours_with_journal(), "printf end", {"--api-version", "--no-container-partial-message"});
  start.log = "journald";
  Monitored(std::move(start)).outcome();
  EXPECT_EQ(receive_packet(journal.get()),
            "MESSAGE=end\nCONTAINER_ID_FULL=container-0123456789\nCONTAINER_ID=container-01\n"
            "SYSLOG_IDENTIFIER=container-01\nPRIORITY=6\n");
}

TEST_F(Conmon, AnExecSessionThatStillWaitsForItsClientCanBeEnded) {
  MonitorStart start = ours("exit 9");
  const SocketPair go = make_socket_pair();
  const SocketPair attach = make_socket_pair();
  Start call;
  call.argv = {start.program,
               "--api-version",
               "-e",
               "--exec-attach",
               "--exec-process-spec",
               "/s",
               "--sync",
               "-c",
               "a",
               "-u",
               "a",
               "-r",
               start.runtime,
               "-b",
               start.directory,
               "-p",
               start.directory + "/pid",
               "--full-attach",
               "-l",
               "none"};
  call.pass = {{go.theirs.get(), 4}, {attach.theirs.get(), 5}};
  call.environment = {"_OCI_STARTPIPE=4", "_OCI_ATTACHPIPE=5"};
  Program program(call);
  ASSERT_EQ(::send(go.ours.get(), "", 1, 0), 1);
  EXPECT_EQ(receive_packet(attach.ours.get()), "{\"data\": 0}\n");
  program.signal(SIGTERM);
  EXPECT_EQ(program.finish(std::chrono::seconds(20)).status, WaitStatus::for_exit_code(1));
  EXPECT_FALSE(fs::exists(start.directory + "/pid"));
}

TEST_F(Conmon, APipesNumberIsItsOwn) {
  const auto says = [&](const Words& environment, const std::string& prefix) {
    MonitorStart call = ours("");
    const SocketPair pipe = make_socket_pair();
    Start start;
    start.argv = as_activated(
        {call.program, "-c", "a", "-u", "a", "-r", call.runtime, "-b", call.directory, "-l", "none"});
    start.pass = {{pipe.theirs.get(), 3}, {pipe.ours.get(), 4}};
    start.environment = environment;
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
    EXPECT_THAT(result.err, StartsWith("monitor: " + prefix));
  };
  says({"LISTEN_FDS=1", "_OCI_SYNCPIPE=3"}, "_OCI_SYNCPIPE=3: ");
  says({"_OCI_SYNCPIPE=4", "_OCI_STARTPIPE=4"}, "_OCI_STARTPIPE=4: ");
}

// Whoever follows it by name never finds nothing.
TEST_F(Conmon, ALogIsAtItsPathWhileItIsKept) {
  MonitorStart start =
      ours("echo first; while [ ! -e " + file("go") + " ]; do sleep 0.01; done; seq 20000",
           {"--api-version", "--log-size-max", "480", "--log-rotate", "--log-max-files", "2"});
  const std::string log = start.directory + "/log";
  Monitored monitored(std::move(start));
  wait_for_text(log, "first");
  std::atomic<bool> over = false;
  int missing = 0;
  std::thread reader([&] {
    while (!over) missing += ::access(log.c_str(), F_OK) < 0 ? 1 : 0;
  });
  std::ofstream(file("go")) << "";
  monitored.outcome();
  over = true;
  reader.join();
  EXPECT_EQ(missing, 0);
  EXPECT_THAT(read_file(log), HasSubstr("stdout F 20000\n"));
}

TEST_F(Conmon, NotificationsAreRelayed) {
  const OwnedFd host = bind_datagram(file("host.sock"));
  MonitorStart start = ours(
      "NOTIFY_SOCKET=\"$(dirname \"$0\")/bundle1/notify/notify.sock\" systemd-notify --pid=1 --ready "
      "--status=up",
      {"--api-version", "--sdnotify-socket=" + file("host.sock")});
  fs::create_directory(start.directory + "/notify");
  Monitored(std::move(start)).outcome();
  EXPECT_EQ(receive_packet(host.get()), "READY=1\nSTATUS=up");
}

// --- the sockets ---

TEST_F(Conmon, PromisedDescriptorsArriveHeldUntilTheEndAndNothingElse) {
  MonitorStart start =
      ours("ls -l /proc/$$/fd | sed -n 's/.* \\([0-9]*\\) -> \\(socket.*\\)/\\1 \\2/p'; read wait",
           {"--api-version", "-i", "--runtime-opt", "--preserve-fds", "--runtime-opt", "2"});
  std::string expected;
  std::vector<std::string> links;
  for (int number = 3; number < 6; ++number) {
    OwnedFd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    links.push_back(fs::read_symlink("/proc/self/fd/" + std::to_string(socket.get())));
    if (number < 5) expected += "TIME stdout F " + std::to_string(number) + ' ' + links.back() + '\n';
    start.sockets.push_back(std::move(socket));  // the third was promised to nobody
  }
  const std::string trace = file("trace");
  start.environment = {"FDCHAIN_TRACE=run:" + trace};
  const std::string bundle = start.directory;
  Monitored monitored(std::move(start));
  monitored.container();
  const auto held = [&] {
    int count = 0;
    for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(monitored.monitor()) + "/fd")) {
      std::error_code gone;
      count += static_cast<int>(std::ranges::count(links, fs::read_symlink(entry.path(), gone).string()));
    }
    return count;
  };
  EXPECT_EQ(held(), 3) << "a reserved port has to be held as well";
  const OwnedFd client = attach_to(bundle);
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  EXPECT_EQ(monitored.hear(), "");
  EXPECT_EQ(without_times(read_file(bundle + "/log")), expected);
  // The last look at the monitor is taken just before the exit file is there.
  std::string last;
  std::ifstream records(trace);
  for (std::string line; std::getline(records, line);) {
    if (line.find("\"after-exit\"") != std::string::npos) last = line;
  }
  ASSERT_NE(last, "");
  for (const std::string& link : links) {
    const std::string inode = link.substr(8, link.size() - 9);
    EXPECT_THAT(last, Not(HasSubstr("\"inode\":" + inode))) << "still held when the status could be seen";
  }
}

}  // namespace
}  // namespace fdchain::test
