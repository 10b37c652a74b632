// The monitor in conmon's dialect: beside the real conmon, under the real podman, over the real runtimes.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <utility>

#include "fdchain/protocol/attach.h"
#include "fdchain/protocol/conmon_sync.h"
#include "fdchain/system/listening_socket.h"
#include "fdchain/system/observe.h"
#include "fdchain/system/sys.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/wait_until.h"
#include "integration/real/monitored.h"
#include "tests/support/process_memory.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

class Conmon : public ChainTest {
 protected:
  /// One call of `program`, in a directory of its own, over a fake runtime that runs `payload`.
  MonitorStart call(const std::string& program, const std::string& payload,
                    Words options = {"--api-version"}) {
    MonitorStart start;
    start.program = program;
    start.directory = file("bundle" + std::to_string(++calls_));
    fs::create_directory(start.directory);
    start.runtime = file("runtime" + std::to_string(calls_));
    write_fake_runtime(start.runtime, payload);
    start.options = std::move(options);
    return start;
  }
  MonitorStart ours(const std::string& payload, Words options = {"--api-version"}) {
    return call(bin("monitor"), payload, std::move(options));
  }

  /// Our monitor, started by a shell that has done `first`: words for unshare(1), and what is done inside.
  std::string ours_after(const std::string& unshare, const std::string& first) {
    const std::string path = file("monitor-in-a-world-of-its-own");
    write_script(path + ".inside", first + " && exec '" + bin("monitor") + "' \"$@\"\n");
    write_script(path, "exec unshare " + unshare + " '" + path + ".inside' \"$@\"\n");
    return path;
  }
  /// Has a fake runtime do `first`, before it makes its container.
  static void let_runtime(const MonitorStart& start, const std::string& first) {
    const std::string script = read_file(start.runtime);
    write_script(start.runtime, first + '\n' + script.substr(script.find('\n') + 1));
  }

  int calls_ = 0;
};

void wait_for_file(const std::string& path) {
  wait_until(path, [&] { return fs::exists(path); });
}

void wait_for_text(const std::string& path, const std::string& text) {
  wait_until('"' + text + "\" in " + path, [&] { return read_file(path).find(text) != std::string::npos; });
}

/// Until a file that somebody writes to grows no more.
void wait_until_still(const std::string& path) {
  std::uintmax_t before = 0;
  const auto stands_still = [&] {
    const std::uintmax_t now = fs::file_size(path);
    return now > 0 && std::exchange(before, now) == now;
  };
  wait_until(path + " to stand still", stands_still, std::chrono::milliseconds(200));
}

OwnedFd bind_datagram(const std::string& path) {
  OwnedFd socket(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind", path);
  return socket;
}

// --- beside the real conmon ---

struct Case {
  std::string name;
  std::string payload;  ///< of the fake runtime; with `runtime` the runtime itself
  Words options;
  Words environment;
  std::string log = "k8s-file:";
  bool runtime = false;
  bool go = true;
};

void PrintTo(const Case& instance, std::ostream* out) { *out << instance.name; }

const Words api{"--api-version"};

const std::vector<Case> cases{
    {"plain", "echo out; echo err >&2; exit 5", api, {}},
    {"legacy_key", "exit 5", {}, {}},
    {"by_signal", "kill -9 $$", api, {}},
    {"partial_line", "printf 'one\\ntwo'", api, {}},
    {"long_line",
     "(head -c 20000 /dev/zero | tr '\\0' x; echo) > $0.x; dd if=$0.x bs=30000 count=1 2>/dev/null",
     api,
     {}},
    {"size_max", "seq 100 > $0.x; cat $0.x", {"--api-version", "--log-size-max", "500"}, {}},
    {"global_size_max", "seq 100 > $0.x; cat $0.x", {"--api-version", "--log-global-size-max", "500"}, {}},
    {"no_log", "echo out", api, {}, "none"},
    {"persist", "exit 3", {"--api-version", "--persist-dir", "DIR/persist"}, {}},
    {"sync", "exit 6", {"--api-version", "--sync"}, {}},
    {"exec", "exit 9", {"--api-version", "-e", "--exec-process-spec", "/spec"}, {}},
    {"legacy_exec", "exit 9", {"-e", "--exec-process-spec", "/spec"}, {}},
    {"timeout", "exec sleep 100", {"--api-version", "--timeout", "1"}, {}},
    {"timeout_of_exec",
     "exec sleep 100",
     {"--api-version", "--timeout", "1", "-e", "--exec-process-spec", "/s"},
     {}},
    {"no_go", "exit 4", api, {}, "k8s-file:", false, false},
    {"exit_command",
     "exit 4",
     {"--api-version", "--exit-command", "DIR/exit-command", "--exit-command-arg", "a b",
      "--exit-command-arg", "-c"},
     {}},
    {"exit_delay",
     "exit 4",
     {"--api-version", "--exit-command", "DIR/exit-command", "--exit-delay", "1"},
     {}},
    {"refused_create",
     "echo '{\"q\"} \\ boom' >&2; exit 3",
     {"--api-version", "--exit-command", "DIR/exit-command"},
     {},
     "k8s-file:",
     true},
    {"refused_create_sync", "echo boom >&2; exit 3", {"--sync"}, {}, "k8s-file:", true},
    {"refused_exec",
     "echo boom >&2; exit 3",
     {"--api-version", "-e", "--exec-process-spec", "/s"},
     {},
     "none",
     true},
    {"what_the_runtime_gets",
     "echo \"$@\" | sed \"s#$PWD##g\" >&2; exit 1",
     {"--api-version", "--runtime-arg", "--root", "--runtime-arg=/r", "-s", "--no-pivot", "--runtime-opt",
      "--x"},
     {},
     "none",
     true},
    {"listen_pid_is_left",
     "echo \"$LISTEN_PID $LISTEN_FDS\" >&2; exit 1",
     api,
     {"LISTEN_PID=77", "LISTEN_FDS=2"},
     "none",
     true},
    {"listen_pid_is_replaced",
     "[ $LISTEN_PID = $$ ] && echo \"mine $LISTEN_FDS\" >&2; exit 1",
     {"--api-version", "--replace-listen-pid"},
     {"LISTEN_PID=77", "LISTEN_FDS=2"},
     "none",
     true},
};

class BesideConmon : public Conmon, public ::testing::WithParamInterface<Case> {
 protected:
  std::string outcome(const std::string& program) {
    const Case& instance = GetParam();
    MonitorStart start = call(program, instance.payload, instance.options);
    if (instance.runtime) write_script(start.runtime, instance.payload);
    for (std::string& option : start.options) {
      if (option.starts_with("DIR/")) option.replace(0, 3, start.directory);
    }
    fs::create_directory(start.directory + "/persist");
    write_script(start.directory + "/exit-command", "echo \"$# $*\" > '" + start.directory +
                                                        "/exit-command-said'\nls /proc/self/fd | wc -l >> '" +
                                                        start.directory + "/exit-command-said'\n");
    start.environment = instance.environment;
    start.log = instance.log;
    start.go = instance.go;
    const std::string directory = start.directory;
    std::string text = Monitored(std::move(start)).outcome();
    for (std::size_t at = 0; (at = text.find(directory)) != std::string::npos;)
      text.replace(at, directory.size(), "DIR");
    return text;
  }
};

TEST_P(BesideConmon, CannotBeToldApart) {
  const std::string conmons = outcome(real_conmon);
  EXPECT_EQ(outcome(bin("monitor")), conmons);
  EXPECT_THAT(conmons, StartsWith("foreground: "));
}

INSTANTIATE_TEST_SUITE_P(All, BesideConmon, ::testing::ValuesIn(cases),
                         [](const auto& param_info) { return param_info.param.name; });

TEST_F(Conmon, RefusesWhatConmonRefusesInTheSameWay) {
  const auto verdict = [&](const std::string& program, const Words& words) {
    Start start;
    start.argv = words;
    start.argv.insert(start.argv.begin(), program);
    start.working_directory = directory_.path();
    const Result result = run(start);
    return result.status.describe() + (result.out.empty() ? "" : ", on stdout") +
           (result.err.empty() ? "" : ", on stderr");
  };
  const Words base{"--api-version", "-c", "a", "-u", "a", "-r", "/bin/true"};
  for (Words more : std::vector<Words>{{"--bogus"},
                                       {"-Z"},
                                       {"-l"},
                                       {"--timeout", "abc"},
                                       {"--timeout", "99999999999"},
                                       {},
                                       {"-l", ""},
                                       {"-l", "bogus:x"},
                                       {"-l", "k8s-file"},
                                       {"-l", "journald"},
                                       {"-l", "/nonexistent/x"},
                                       {"-l", "log", "--log-tag", "x"},
                                       {"-l", "none", "-r", "/nonexistent"},
                                       {"-l", "none", "-e"},
                                       {"-l", "none", "--exec-attach"},
                                       {"-l", "none", "-e", "--restore", "x"},
                                       {"-l", "none", "--log-level", "loud"},
                                       {"-l", "none", "--exit-delay", "-1"},
                                       {"-l", "none", "-P", "/nonexistent/pid"},
                                       {"--version"},
                                       {"--version=x", "--sync=y", "stray", "-ti"},
                                       {"--help"}}) {
    more.insert(more.begin(), base.begin(), base.end());
    const std::string conmons = verdict(real_conmon, more);
    EXPECT_EQ(verdict(bin("monitor"), more), conmons) << ::testing::PrintToString(more);
    expect_nobody_left();
  }
  for (const Words& words : std::vector<Words>{{"-c", "a"}, {"-u", "a"}, {"-c", "a", "-u", "a"}})
    EXPECT_EQ(verdict(bin("monitor"), words), verdict(real_conmon, words)) << ::testing::PrintToString(words);
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
  for (const std::string number : {"x", "2", "1000"}) {
    for (const std::string name : {"_OCI_SYNCPIPE", "_OCI_STARTPIPE"}) {
      MonitorStart call = ours("");
      Start start;
      start.argv = {call.program, "-c",           "a",  "-u",  "a", "-r", call.runtime,
                    "-b",         call.directory, "-l", "none"};
      start.environment = {name + '=' + number};
      const Result result = run(start);
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
      EXPECT_THAT(result.err, StartsWith("monitor: " + name + '=' + number + ": "));
    }
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

TEST_F(Conmon, ABurstReachesTheJournalWhole) {
  fs::create_directory(file("journal"));
  const OwnedFd journal = bind_datagram(file("journal/socket"));
  MonitorStart start =
      call(ours_after("-m", "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind '" +
                                file("journal") + "' /run/systemd/journal"),
           "seq 5000; echo err >&2; printf end; exit 5",
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

// --- real runtimes, without podman ---

struct Runtime {
  std::string name;
  Words arguments;
};

class OverRuntime : public Conmon, public ::testing::WithParamInterface<Runtime> {
 protected:
  OverRuntime() : bundle_(file("box")), id_("fdchain-conmon-" + std::to_string(::getpid())) {
    fs::create_directory(bundle_);
  }
  Start monitor(Words options) {
    Start start;
    start.argv = {bin("monitor"),
                  "--api-version",
                  "-c",
                  id_,
                  "-u",
                  id_,
                  "-r",
                  "/usr/bin/" + GetParam().name,
                  "-b",
                  bundle_,
                  "-p",
                  bundle_ + "/pidfile",
                  "--conmon-pidfile",
                  bundle_ + "/monitor",
                  "--exit-dir",
                  bundle_,
                  "--full-attach",
                  "-l",
                  "k8s-file:" + bundle_ + "/log",
                  "--runtime-arg",
                  "--root",
                  "--runtime-arg",
                  file("state")};
    for (const std::string& word : GetParam().arguments)
      start.argv.insert(start.argv.end(), {"--runtime-arg", word});
    start.argv.insert(start.argv.end(), options.begin(), options.end());
    if (GetParam().name == "crun") start.argv = with_cgroup2(start.argv);
    return start;
  }
  void runtime(Words words) {
    Start start;
    start.argv = {"/usr/bin/" + GetParam().name, "--root", file("state")};
    start.argv.insert(start.argv.end(), GetParam().arguments.begin(), GetParam().arguments.end());
    start.argv.insert(start.argv.end(), words.begin(), words.end());
    if (GetParam().name == "crun") start.argv = with_cgroup2(start.argv);
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  }
  std::string bundle_;
  std::string id_;
};

TEST_P(OverRuntime, AContainerIsCreatedStartedLoggedAndItsStatusPublished) {
  write_bundle(bundle_, {{"/bin/sh", "-c", "echo out; echo err >&2; exit 5"}, false, {}});
  ASSERT_EQ(run(monitor({})).status, WaitStatus::for_exit_code(0));
  wait_for_file(bundle_ + "/pidfile");
  const OwnedFd client = attach_to(bundle_);
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  wait_for_file(file("state") + '/' + id_);
  runtime({"start", id_});
  const Attached attached = read_frames(client.get());
  expect_nobody_left();
  EXPECT_EQ(attached.out, "out\n");
  EXPECT_EQ(attached.err, "err\n");
  EXPECT_EQ(without_times(read_file(bundle_ + "/log")), "TIME stderr F err\nTIME stdout F out\n");
  EXPECT_EQ(read_file(bundle_ + '/' + id_), "5");
  runtime({"delete", "--force", id_});
}

TEST_P(OverRuntime, ATerminalIsTakenOverAndResized) {
  write_bundle(bundle_,
               {{"/bin/sh", "-c", "read go; until [ \"$(stty size)\" = \"33 77\" ]; do :; done; stty size"},
                true,
                {}});
  ASSERT_EQ(run(monitor({"-t"})).status, WaitStatus::for_exit_code(0));
  wait_for_file(bundle_ + "/pidfile");
  const OwnedFd client = attach_to(bundle_);
  runtime({"start", id_});
  ASSERT_EQ(::send(client.get(), "go\n", 3, 0), 3);
  std::ofstream(bundle_ + "/ctl") << "1 33 77\n";
  const Attached attached = read_frames(client.get());
  expect_nobody_left();
  EXPECT_THAT(attached.out, HasSubstr("33 77\r\n"));
  EXPECT_EQ(attached.err, "");
  EXPECT_EQ(read_file(bundle_ + '/' + id_), "0");
  runtime({"delete", "--force", id_});
}

INSTANTIATE_TEST_SUITE_P(All, OverRuntime,
                         ::testing::Values(Runtime{"runc", {}},
                                           Runtime{"crun", {"--cgroup-manager=disabled"}}),
                         [](const auto& param_info) { return param_info.param.name; });

// --- under podman ---

class UnderPodman : public Conmon {
 protected:
  UnderPodman() {
    write_bundle(directory_.path(), {{"/bin/true"}, false, {}});  // for its root file system
  }
  ~UnderPodman() override {
    Start start;
    start.argv = podman(bin("monitor"), "runc", {"rm", "--all", "--force", "--time", "0"});
    run(start);
    // Its overlay of nothing stays mounted otherwise.
    start.argv = {"umount", file("storage/overlay")};
    run(start);
  }
  Words podman(const std::string& conmon, const std::string& runtime, Words words) {
    words.insert(words.begin(), {"podman", "--root", file("storage"), "--runroot", file("run"), "--tmpdir",
                                 file("tmp"), "--storage-driver", "vfs", "--events-backend", "none",
                                 "--conmon", conmon, "--runtime", runtime});
    return runtime == "crun" ? with_cgroup2(words) : words;
  }
  /// `podman run OPTIONS --rootfs … COMMAND`
  Words run_words(Words options, Words command) {
    Words words{"run", "--network=none", "--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"--rootfs", directory_.file("rootfs")});
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }
  Result call(const std::string& conmon, const Words& words, const std::string& input = {}) {
    Start start;
    start.argv = podman(conmon, "runc", words);
    start.input = input;
    return run(start, std::chrono::seconds(60));
  }
  /// What a user sees, without what is another each time.
  std::string seen(const std::string& conmon, const Words& words, const std::string& input = {}) {
    const Result result = call(conmon, words, input);
    const std::string text = result.status.describe() + "\n-- out\n" + result.out + "-- err\n" + result.err;
    return std::regex_replace(text, std::regex("[0-9a-f]{64}|time=\"[^\"]*\""), "(some)");
  }
};

TEST_F(UnderPodman, UsersSeeNoDifference) {
  struct Use {
    std::vector<Words> commands;
    std::string input;
  };
  const std::vector<Use> uses{
      {{run_words({"--rm"}, {"sh", "-c", "echo out; echo err >&2; exit 7"})}, ""},
      {{run_words({"--rm", "-i"}, {"cat"})}, "one\ntwo\n"},
      {{run_words({"--rm", "-t"}, {"echo", "tty"})}, ""},
      {{run_words({"--rm"}, {"/nonexistent"})}, ""},
      {{run_words({"--rm"}, {"/bin"})}, ""},
      {{run_words({"--rm", "--log-driver", "none"}, {"echo", "none"})}, ""},
      {{run_words({"--rm", "--log-driver", "passthrough"}, {"echo", "passed"})}, ""},
      {{run_words({"--rm", "--timeout", "1"}, {"sleep", "100"})}, ""},
      {{run_words({"-d", "--name", "box", "--log-driver", "k8s-file"},
                  {"sh", "-c", "echo one; echo two >&2; exec sleep 100"}),
        {"logs", "box"},
        {"exec", "box", "echo", "exec"},
        {"exec", "box", "sh", "-c", "exit 9"},
        {"exec", "-i", "box", "cat"},
        {"exec", "-t", "box", "echo", "tty"},
        {"exec", "box", "/nonexistent"},
        {"stop", "--time", "0", "box"},
        {"wait", "box"},
        {"rm", "box"}},
       "input\n"},
      {{run_words({"-d", "-i", "--name", "late"}, {"sh", "-c", "read x; echo late; exit 3"}),
        {"attach", "late"},
        {"wait", "late"},
        {"rm", "late"}},
       "go\n"},
      {{{"ps", "--all", "--quiet"}}, ""},
  };
  for (const Use& use : uses) {
    std::vector<std::string> conmons;
    std::vector<std::string> ours;
    for (const Words& command : use.commands) conmons.push_back(seen(real_conmon, command, use.input));
    for (const Words& command : use.commands) ours.push_back(seen(bin("monitor"), command, use.input));
    EXPECT_EQ(ours, conmons);
  }
}

TEST_F(UnderPodman, AContainerThatRemovesItselfIsGone) {
  ASSERT_EQ(call(bin("monitor"), run_words({"-d", "--rm"}, {"echo"})).status, WaitStatus::for_exit_code(0));
  expect_nobody_left();  // the exit command too
  EXPECT_EQ(call(bin("monitor"), {"ps", "--all", "--quiet"}).out, "");
}

class SocketsUnderPodman : public UnderPodman, public ::testing::WithParamInterface<std::string> {};

TEST_P(SocketsUnderPodman, ReachThePayloadAsTheyAre) {
  const OwnedFd web = std::move(open_listening(parse_listen_spec("tcp:127.0.0.1:8080")).fd);
  const OwnedFd other = std::move(open_listening(parse_listen_spec("unix:" + file("s"))).fd);
  std::vector<PayloadReport::Identity> identities;
  for (const FdRow& row : observe_fds()) {
    if (row.number == web.get() || row.number == other.get()) identities.push_back(identity_of(row));
  }
  Start start;
  Words options{"--rm"};
  if (GetParam() == "crun") options.push_back("--cgroups=disabled");
  start.argv = as_activated(podman(bin("monitor"), GetParam(), run_words(options, {"/payload", "report"})));
  start.environment = {"LISTEN_FDS=2", "LISTEN_FDNAMES=web:other"};
  start.pass = {{web.get(), 3}, {other.get(), 4}};
  const Result result = run(start, std::chrono::seconds(60));
  ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 2);
  EXPECT_THAT(report.names(), ElementsAre("web", "other"));
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT((std::vector{report.identity(3), report.identity(4)}),
              ::testing::UnorderedElementsAreArray(identities));
  expect_nobody_left();
}

INSTANTIATE_TEST_SUITE_P(All, SocketsUnderPodman, ::testing::Values("runc", "crun"),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace fdchain::test
