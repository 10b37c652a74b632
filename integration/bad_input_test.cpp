// Whatever a user can get wrong: one line that names the program, the thing and the reason; the documented
// status; nothing left behind.

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

OwnedFd connected_socket() {
  int ends[2];
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
  ::close(ends[1]);
  return OwnedFd(ends[0]);
}

struct BadEnvironment {
  std::string label;
  std::vector<std::string> variables;  // LISTEN_PID is right unless given
  std::string err;                     // a regular expression
  int sockets = 1;
  std::optional<rlim_t> nofile = std::nullopt;
};

void PrintTo(const BadEnvironment& bad, std::ostream* out) { *out << bad.label; }

class BadListenEnv : public ChainTest, public ::testing::WithParamInterface<BadEnvironment> {};

TEST_P(BadListenEnv, EndsTheRunWithAReason) {
  Start start;
  const bool own_pid = GetParam().variables.front().starts_with("LISTEN_PID=");
  start.argv = {bin("launcher"), "true"};
  if (!own_pid) start.argv = as_activated(start.argv);
  start.environment = GetParam().variables;
  start.nofile = GetParam().nofile;
  const OwnedFd socket = connected_socket();
  for (int i = 0; i < GetParam().sockets; ++i) start.pass.emplace_back(socket.get(), 3 + i);
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err, MatchesRegex("launcher: " + GetParam().err + "\n"));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadListenEnv,
    ::testing::Values(
        BadEnvironment{"negative_count", {"LISTEN_FDS=-1"}, "LISTEN_FDS=-1: not a count of descriptors"},
        BadEnvironment{"trailing_text", {"LISTEN_FDS=2x"}, "LISTEN_FDS=2x: not a count of descriptors"},
        BadEnvironment{
            "huge", {"LISTEN_FDS=99999999999"}, "LISTEN_FDS=99999999999: not a count of descriptors"},
        BadEnvironment{"more_than_open", {"LISTEN_FDS=3"}, "LISTEN_FDS=3: descriptor 5 is not open", 2},
        BadEnvironment{"none_open", {"LISTEN_FDS=1"}, "LISTEN_FDS=1: descriptor 3 is not open", 0},
        BadEnvironment{
            "more_than_rlimit",
            {"LISTEN_FDS=5000"},
            "LISTEN_FDS=5000: descriptor 5 is not open, and RLIMIT_NOFILE allows no more than 64 descriptors",
            2,
            64},
        BadEnvironment{"largest_int",
                       {"LISTEN_FDS=2147483644"},
                       "LISTEN_FDS=2147483644: descriptor 4 is not open, and RLIMIT_NOFILE allows no more "
                       "than [0-9]+ descriptors"},
        BadEnvironment{"escape_sequence",
                       {"LISTEN_FDS=\x1b]0;owned\a"},
                       "LISTEN_FDS=\\\\x1b\\]0;owned\\\\x07: not a count of descriptors"}),
    [](const auto& param_info) { return param_info.param.label; });

// podman goes on, and so does what plays it: nobody but the judge says whose mistake it is.
class LenientListenEnv : public ChainTest, public ::testing::WithParamInterface<BadEnvironment> {};

TEST_P(LenientListenEnv, TakesNoSocketsAndSaysWhy) {
  Start start;
  const bool own_pid = GetParam().variables.front().starts_with("LISTEN_PID=");
  start.argv = {bin("launcher"), "payload", "report"};
  if (!own_pid) start.argv = as_activated(start.argv);
  start.environment = GetParam().variables;
  const OwnedFd socket = connected_socket();
  start.pass.emplace_back(socket.get(), 3);
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(result.err, "launcher: warning: " + GetParam().err + "; no sockets are taken\n");
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 0);
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2));
  EXPECT_THAT(report.variables(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, LenientListenEnv,
    ::testing::Values(
        BadEnvironment{"empty_count", {"LISTEN_FDS="}, "LISTEN_FDS=: no sockets are counted"},
        BadEnvironment{"zero", {"LISTEN_FDS=0"}, "LISTEN_FDS=0: no sockets are counted"},
        BadEnvironment{"empty_pid", {"LISTEN_PID=", "LISTEN_FDS=1"}, "LISTEN_PID=: not a process number"},
        BadEnvironment{
            "garbage_pid", {"LISTEN_PID=me", "LISTEN_FDS=1"}, "LISTEN_PID=me: not a process number"},
        BadEnvironment{"zero_pid", {"LISTEN_PID=0", "LISTEN_FDS=1"}, "LISTEN_PID=0: not a process number"},
        BadEnvironment{"escape_sequence",
                       {"LISTEN_PID=\x1b]0;owned\a", "LISTEN_FDS=1"},
                       "LISTEN_PID=\\x1b]0;owned\\x07: not a process number"}),
    [](const auto& param_info) { return param_info.param.label; });

// sd_listen_fds(3) takes the sockets, and sd_listen_fds_with_names(3) alone refuses them.
class NamesThatDoNotCount : public ChainTest, public ::testing::WithParamInterface<BadEnvironment> {};

TEST_P(NamesThatDoNotCount, ArriveAsTheyCameWithTheSockets) {
  Start start;
  start.argv = as_activated({bin("launcher"), "--report", "text", "payload", "report"});
  start.environment = GetParam().variables;
  const OwnedFd socket = connected_socket();
  for (int i = 0; i < GetParam().sockets; ++i) start.pass.emplace_back(socket.get(), 3 + i);
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(result.err,
              HasSubstr("launcher: warning: " + GetParam().err + "; it is passed on as it came\n"));
  EXPECT_THAT(result.err,
              HasSubstr("\n1 finding\n\nerror fdnames-mismatch, by activator, seen at launcher\n"));
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), GetParam().sockets);
  EXPECT_THAT(report.names(), IsEmpty());
  EXPECT_THAT(report.variables(), ElementsAre(GetParam().variables.back(), GetParam().variables.front(),
                                              "LISTEN_PID=" + std::to_string(report.pid())));
}

INSTANTIATE_TEST_SUITE_P(
    All, NamesThatDoNotCount,
    ::testing::Values(
        BadEnvironment{
            "few", {"LISTEN_FDS=2", "LISTEN_FDNAMES=web"}, "LISTEN_FDNAMES=web: 1 name for 2 sockets", 2},
        BadEnvironment{
            "none", {"LISTEN_FDS=2", "LISTEN_FDNAMES="}, "LISTEN_FDNAMES=: 1 name for 2 sockets", 2},
        BadEnvironment{
            "many", {"LISTEN_FDS=1", "LISTEN_FDNAMES=a:b:"}, "LISTEN_FDNAMES=a:b:: 3 names for 1 socket"}),
    [](const auto& param_info) { return param_info.param.label; });

struct BadCommand {
  std::string label;
  std::vector<std::string> arguments;
  int status;
  std::string err;
};

void PrintTo(const BadCommand& bad, std::ostream* out) { *out << bad.label; }

class BadLauncherCommand : public ChainTest, public ::testing::WithParamInterface<BadCommand> {};

TEST_P(BadLauncherCommand, EndsTheRunWithAReason) {
  const Result result = run(launcher(GetParam().arguments));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(GetParam().status));
  EXPECT_EQ(result.err, "launcher: " + GetParam().err + '\n');
  EXPECT_EQ(result.out, "");
}

INSTANTIATE_TEST_SUITE_P(
    All, BadLauncherCommand,
    ::testing::Values(
        BadCommand{"unknown_option", {"--nonsense"}, 125, "unrecognised option '--nonsense'; see --help"},
        BadCommand{"missing_payload",
                   {"/nonexistent/daemon"},
                   127,
                   "runtime-shim: exec /nonexistent/daemon: No such file or directory"},
        BadCommand{"missing_in_path",
                   {"nonexistent-daemon"},
                   127,
                   "nonexistent-daemon: not found in PATH, and none of the commands run, dry-run, trace, "
                   "diagnose, report, faults, profiles, generate"},
        BadCommand{"missing_in_path_of_a_run",
                   {"run", "nonexistent-daemon"},
                   127,
                   "runtime-shim: exec nonexistent-daemon: not found in PATH"},
        BadCommand{"missing_in_path_behind_options",
                   {"--", "diagnos"},
                   127,
                   "runtime-shim: exec diagnos: not found in PATH"},
        BadCommand{"like_diagnose",
                   {"diagnos", "trace.jsonl"},
                   127,
                   "diagnos: not found in PATH; did you mean `launcher diagnose`?"},
        BadCommand{
            "like_trace", {"trac", "podman"}, 127, "trac: not found in PATH; did you mean `launcher trace`?"},
        BadCommand{
            "like_dry_run", {"dryrun"}, 127, "dryrun: not found in PATH; did you mean `launcher dry-run`?"},
        BadCommand{
            "command_behind_options",
            {"--report", "json", "dry-run", "true"},
            125,
            "dry-run: a command, and it stands before its options: launcher dry-run [OPTIONS]; a payload "
            "of that name: launcher [OPTIONS] -- dry-run"},
        BadCommand{"not_a_directory",
                   {"/etc/passwd/daemon"},
                   127,
                   "runtime-shim: exec /etc/passwd/daemon: Not a directory"},
        BadCommand{"directory", {"/tmp"}, 126, "runtime-shim: exec /tmp: a directory"},
        BadCommand{
            "not_executable", {"/etc/passwd"}, 126, "runtime-shim: exec /etc/passwd: Permission denied"},
        BadCommand{"empty_payload", {""}, 127, "runtime-shim: exec '': an empty name"},
        BadCommand{"missing_monitor",
                   {"--monitor", "/nonexistent/m", "true"},
                   125,
                   "exec /nonexistent/m: No such file or directory"},
        BadCommand{"missing_shim",
                   {"--runtime", "/nonexistent/r", "true"},
                   125,
                   "monitor: exec /nonexistent/r: No such file or directory"},
        BadCommand{"missing_shim_in_path",
                   {"--runtime", "nonexistent-shim", "true"},
                   125,
                   "monitor: exec nonexistent-shim: not found in PATH"},
        BadCommand{"missing_monitor_in_path",
                   {"--monitor", "nonexistent-monitor", "true"},
                   125,
                   "exec nonexistent-monitor: not found in PATH"},
        BadCommand{"bad_workdir",
                   {"--workdir", "/nonexistent", "true"},
                   125,
                   "runtime-shim: chdir /nonexistent: No such file or directory"},
        BadCommand{"bad_env", {"--env", "NOVALUE", "true"}, 125, "--env NOVALUE: not NAME=VALUE"},
        BadCommand{"env_of_the_protocol",
                   {"--env", "LISTEN_FDS=1", "true"},
                   125,
                   "--env LISTEN_FDS=1: it announces the sockets, and every hop sets it itself"},
        BadCommand{"bad_log",
                   {"--log", "journald", "true"},
                   125,
                   "--log journald: not one of passthrough, none, k8s-file:FILE"},
        BadCommand{"log_directory_missing",
                   {"--log", "k8s-file:/nonexistent/log", "true"},
                   125,
                   "monitor: open /nonexistent/log: No such file or directory"},
        BadCommand{"bad_sdnotify",
                   {"--sdnotify", "healthy", "true"},
                   125,
                   "--sdnotify healthy: not one of container, conmon, ignore"},
        BadCommand{"bad_timeout", {"--timeout", "-1", "true"}, 125, "--timeout -1: not from 0 to 315360000"},
        BadCommand{"nothing_to_preserve",
                   {"--preserve-fds", "2", "true"},
                   125,
                   "--preserve-fds 2: descriptor 3 is not open"},
        BadCommand{"pidfile_directory_missing",
                   {"--pidfile", "/nonexistent/pid", "sleep", "100"},
                   125,
                   "--pidfile /nonexistent/pid: No such file or directory"},
        BadCommand{"exit_file_directory_missing",
                   {"--exit-file", "/nonexistent/exit", "sleep", "100"},
                   125,
                   "monitor: --exit-file /nonexistent/exit: No such file or directory"},
        BadCommand{"exit_file_too_long",
                   {"--exit-file", "/tmp/" + std::string(5000, 'x'), "sleep", "100"},
                   125,
                   "monitor: --exit-file /tmp/" + std::string(195, 'x') + "...: File name too long"},
        BadCommand{"pidfile_empty", {"--pidfile=", "true"}, 125, "--pidfile: its value is empty"},
        BadCommand{"timeout_half",
                   {"--timeout", "0.5", "true"},
                   125,
                   "--timeout 0.5: not a whole number of seconds"},
        BadCommand{"env_empty", {"--env=", "true"}, 125, "--env: its value is empty"},
        BadCommand{"env_empty_word", {"--env", "", "true"}, 125, "--env: its value is empty"},
        BadCommand{
            "trace_link", {"--trace", "/dev/stdin", "true"}, 125, "--trace /dev/stdin: a symbolic link"},
        BadCommand{"bad_listen",
                   {"--listen", "tcp:nonsense", "true"},
                   125,
                   "--listen tcp:nonsense: not a port from 0 to 65535"},
        BadCommand{"listen_directory_cannot_be_made",
                   {"--listen", "unix:/proc/nonexistent/s", "true"},
                   125,
                   "--listen unix:/proc/nonexistent/s: mkdir /proc/nonexistent: No such file or directory"},
        BadCommand{"listen_twice",
                   {"--listen", "tcp:127.0.0.1:8080", "--listen", "tcp:127.0.0.1:8080", "true"},
                   125,
                   "--listen tcp:127.0.0.1:8080: bind: Address already in use"},
        BadCommand{"listen_foreign_address",
                   {"--listen", "tcp:203.0.113.1:80", "true"},
                   125,
                   "--listen tcp:203.0.113.1:80: bind: Cannot assign requested address"}),
    [](const auto& param_info) { return param_info.param.label; });

class BadInput : public ChainTest {};

// Who forgot listen(2) is nobody of the chain, and the run is as good as it was told to be.
TEST_F(BadInput, ASocketOnWhichNobodyListensIsToldOf) {
  const OwnedFd socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  Start start;
  start.argv = as_activated({bin("launcher"), "--check", "--report", "text", "payload", "report"});
  start.environment = {"LISTEN_FDS=1"};
  start.pass.emplace_back(socket.get(), 3);
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(
      result.err,
      HasSubstr("\n1 finding\n\nwarning socket-kind-wrong, by activator, seen at launcher, descriptor 3\n"));
}

TEST_F(BadInput, AScriptWithoutItsInterpreterIsThereAndCannotBeInvoked) {
  std::ofstream(file("script")) << "#!/nonexistent/interpreter\n";
  std::filesystem::permissions(file("script"), std::filesystem::perms::owner_all);
  const Result result = run(launcher({file("script")}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(126));
  EXPECT_EQ(result.err,
            "launcher: runtime-shim: exec " + file("script") + ": the interpreter it names is not there\n");
}

// The longest command line that the launcher itself can be started with: the monitor's is a few words longer.
TEST_F(BadInput, MoreArgumentsThanExecAllowsCannotBeInvoked) {
  std::vector<std::string> arguments(16, std::string(130'000, 'x'));
  arguments.insert(arguments.begin(), "true");
  for (std::size_t size = 30'000; size > 0; size -= 50) {
    std::vector<std::string> longer = arguments;
    longer.emplace_back(size, 'x');
    try {
      const Result result = run(launcher(longer));
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(126));
      EXPECT_EQ(result.err, "launcher: exec " + bin("monitor") + ": Argument list too long\n");
      return;
    } catch (const std::runtime_error&) {  // too long for the launcher already
    }
  }
  FAIL() << "the launcher never started";
}

TEST_F(BadInput, TwoSocketsOnOnePathLeaveNothingBehind) {
  const Result result =
      run(launcher({"--listen", "unix:" + file("s"), "--listen", "unix:" + file("s"), "true"}));
  EXPECT_EQ(result.err, "launcher: --listen unix:" + file("s") +
                            ": bind: Address already in use, by a socket that somebody serves\n");
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(BadInput, AFileInTheWayOfASocketIsNamedAndKept) {
  std::ofstream(file("s")) << "precious";
  EXPECT_EQ(run(launcher({"--listen", "unix:" + file("s"), "true"})).err,
            "launcher: --listen unix:" + file("s") +
                ": bind: Address already in use, and what is there is no socket\n");
  EXPECT_EQ(read_file(file("s")), "precious");
}

TEST_F(BadInput, MoreSocketsThanTheLimitAllowsNamesTheLimit) {
  Start start = launcher({});
  for (int i = 0; i < 20; ++i)
    start.argv.insert(start.argv.end(), {"--listen", "unix:@s" + std::to_string(i)});
  start.nofile = 16;
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err, MatchesRegex("launcher: --listen unix:@s[0-9]+: socket: Too many open files, "
                                       "RLIMIT_NOFILE is 16\n"));
}

// Whatever it is that there is no room for, at whichever hop.
TEST_F(BadInput, TooFewDescriptorsAreNamedWithTheLimit) {
  int succeeded = 0;
  for (rlim_t limit = 4; limit <= 18; ++limit) {
    Start start = launcher({"--report", "text", "--listen", "tcp:127.0.0.1:8080", "true"});
    start.nofile = limit;
    const Result result = run(start);
    if (result.status == WaitStatus::for_exit_code(0)) {
      ++succeeded;
      continue;
    }
    EXPECT_EQ(succeeded, 0) << limit;
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125)) << limit;
    EXPECT_THAT(
        result.err,
        MatchesRegex(
            "(launcher: warning: trace: [^\n]*\n)?launcher: [^\n]*Too many open files, RLIMIT_NOFILE is " +
            std::to_string(limit) + "[^\n]*\n(launcher: no report: [^\n]*\n)?"))
        << limit;
  }
  EXPECT_GE(succeeded, 3);
}

TEST_F(BadInput, ADirectoryForTemporaryFilesThatIsNoneIsNamed) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--report", "text", "true"}, {"--dialect", "oci", "true"}, {"trace", "true"}}) {
    const auto expect = [&](const std::string& directory, const std::string& why) {
      Start start = launcher(words);
      start.environment = {"TMPDIR=" + directory};
      const Result result = run(start);
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
      EXPECT_EQ(result.err, "launcher: TMPDIR=" + directory + ": " + why +
                                "; a directory for temporary files is needed\n");
    };
    expect("/nonexistent", "No such file or directory");
    expect("/etc/passwd", "Not a directory");
    expect("/proc", "nothing can be made there: No such file or directory");
  }
}

TEST_F(BadInput, AReportWithNowhereToGoIsRefusedBeforeTheStart) {
  Start start = launcher({"--report", "text", "sh", "-c", "echo ran"});
  start.closed = {2};
  const Result nowhere = run(start);
  EXPECT_EQ(nowhere.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(nowhere.out, "");
  const Result unnamed = run(launcher({"--report", "text:", "sh", "-c", "echo ran"}));
  EXPECT_EQ(unnamed.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(unnamed.out, "");
  EXPECT_EQ(unnamed.err, "launcher: --report text:: its FILE is empty\n");
}

TEST_F(BadInput, AUsedPortIsNamed) {
  const Detached chain(launcher({"--listen", "tcp:127.0.0.1:8080"}));
  EXPECT_EQ(run(launcher({"--listen", "tcp:127.0.0.1:8080", "true"})).err,
            "launcher: --listen tcp:127.0.0.1:8080: bind: Address already in use\n");
  chain.end(SIGTERM);
}

TEST_F(BadInput, DetachWithNowhereToPrintThePidStopsThePayload) {
  Start start = launcher({"--detach", "sleep", "100"});
  start.closed = {1};
  const Result closed = run(start);
  EXPECT_EQ(closed.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(closed.err, "launcher: stdout is closed; the payload's pid has nowhere to go\n");
  Start full;
  full.argv = {"sh", "-c", bin("launcher") + " --detach sleep 100 > /dev/full"};
  EXPECT_EQ(run(full).err, "launcher: write stdout: No space left on device\n");
}

TEST_F(BadInput, AFullDiskStopsTheLogAndNotThePayload) {
  const Result result =
      run(launcher({"--log", "k8s-file:/dev/full", "sh", "-c", "echo one; echo two >&2; exit 3"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(3));
  EXPECT_EQ(
      result.err,
      "monitor: write /dev/full: No space left on device; the payload's output is dropped from here on\n");
}

TEST_F(BadInput, AnExitFileThatCannotBeWrittenDoesNotHideTheStatus) {
  std::filesystem::create_directory(file("d"));
  const Result result =
      run(launcher({"--exit-file", file("d/exit"), "sh", "-c", "rmdir " + file("d") + "; exit 3"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(3));
  EXPECT_EQ(result.err, "monitor: --exit-file " + file("d/exit") + ": No such file or directory\n");
}

// As root, a rename would put a regular file in the place of a device.
TEST_F(BadInput, APidfileOrAnExitFileReplacesRegularFilesOnly) {
  check(::mkfifo(file("fifo").c_str(), 0600), "mkfifo");
  check(::mknod(file("device").c_str(), S_IFCHR | 0600, makedev(1, 3)), "mknod");
  std::filesystem::create_symlink(file("nothing"), file("link"));
  for (const std::string& name : {file("fifo"), file("device"), file("link"), directory_.path()}) {
    for (const auto& [option, hop] : std::map<std::string, std::string>{
             {"--pidfile", "launcher: "}, {"--exit-file", "launcher: monitor: "}}) {
      const Result result = run(launcher({option, name, "sleep", "100"}));
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
      EXPECT_EQ(result.err, hop + option + ' ' + name + ": there, and not a regular file\n");
    }
  }
  EXPECT_TRUE(std::filesystem::is_fifo(file("fifo")));
  EXPECT_TRUE(std::filesystem::is_character_file(file("device")));
  EXPECT_TRUE(std::filesystem::is_symlink(file("link")));
}

// Of an earlier writer that was killed, in a container whose pids start anew, or of somebody who may write
// there.
TEST_F(BadInput, AFileInTheWayOfATemporaryOneIsInNobodysWay) {
  const auto options = [&](const std::string& name) { return " --" + name + ' ' + file(name); };
  Start start;
  // The launcher's pid is known here, the monitor's is one of the next.
  start.argv = {"unshare",
                "--pid",
                "--fork",
                "--mount-proc",
                "sh",
                "-c",
                "for pid in $(seq 60); do touch " + file("pidfile") + ".tmp$pid " + file("exit-file") +
                    ".tmp$pid; done; exec " + bin("launcher") + options("pidfile") + options("exit-file") +
                    " sh -c 'exit 7'"};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(7));
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(read_file(file("exit-file")), "7");
  EXPECT_THAT(read_file(file("pidfile")), MatchesRegex("[0-9]+"));
  EXPECT_EQ(read_file(file("exit-file.tmp60")), "");
}

/// A monitor, alone, over a runtime that names a process as its payload, and then does something else.
class Named : public ChainTest {
 protected:
  Start monitor_of(const std::string& pid, const std::string& then = "exit 0") const {
    Start start;
    start.argv = {bin("monitor"),
                  "--exit-file",
                  file("exit"),
                  "--runtime-sync-fd",
                  "3",
                  "--",
                  "sh",
                  "-c",
                  R"(printf '{"data":%s}' )" + pid + " >&3; " + then};
    return start;
  }
  static std::string refusal(const std::string& pid) {
    return "monitor: runtime-shim \\(pid [0-9]+\\) named process " + pid +
           " as the payload, which is no child of this monitor\n";
  }
};

// A runtime that tells the number that its payload has in its pid namespace names anybody's.
TEST_F(Named, AProcessThatIsNoChildIsRefusedAndLeftAlone) {
  Start start;
  start.argv = {"sh", "-c", "echo up; exec sleep 1000"};
  Program bystander(start);
  bystander.wait_for_out("up");
  for (const std::string& pid : {std::to_string(bystander.pid()), std::string("1")}) {
    for (const std::string then : {"exit 0", "exec 3>&-; exec sleep 1000"}) {
      const Result result = run(monitor_of(pid, then));
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
      EXPECT_THAT(result.err, MatchesRegex(refusal(pid)));
      EXPECT_FALSE(std::filesystem::exists(file("exit"))) << "it never ran";
    }
  }
  bystander.signal(SIGINT);
  EXPECT_EQ(bystander.finish().status, WaitStatus::for_signal(SIGINT)) << "and nothing else ended it";
}

TEST_F(Named, AChildThatTheMonitorCameWithIsRefusedAndLeftAlone) {
  Start start = monitor_of("$CHILD");
  std::string command = "read line < " + file("fifo") + " & echo $!; export CHILD=$!; exec \"$0\" \"$@\"";
  check(::mkfifo(file("fifo").c_str(), 0600), "mkfifo");
  const OwnedFd fifo(check(::open(file("fifo").c_str(), O_RDWR | O_CLOEXEC), "open"));
  start.argv.insert(start.argv.begin(), {"sh", "-c", command});
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  const pid_t child = std::stoi(result.out);
  EXPECT_THAT(result.err, MatchesRegex(refusal(std::to_string(child))));
  EXPECT_EQ(::kill(child, 0), 0) << "it still reads";
  check(::write(fifo.get(), "\n", 1), "write");
}

// A runtime that leaves a process with its end of the sync pipe: the monitor must not wait for that end.
TEST_F(BadInput, ARuntimeThatLeavesItsSyncPipeToSomebodyIsADeadRuntime) {
  std::ofstream(file("runtime")) << "#!/bin/sh\nsleep 100 &\nexit 3\n";
  std::filesystem::permissions(file("runtime"), std::filesystem::perms::owner_all);
  const Result result = run(launcher({"--dialect", "native", "--runtime", file("runtime"), "true"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_THAT(result.err,
              MatchesRegex("launcher: monitor: runtime-shim \\(pid [0-9]+\\) exited with status 3 "
                           "before it became the payload\n"));
}

class Stderr : public ChainTest {
 protected:
  // The exit status of `launcher ARGUMENTS…` with this descriptor as stderr.
  static WaitStatus status(const OwnedFd& err, std::vector<std::string> arguments,
                           std::vector<std::string> environment = {}) {
    Start start = launcher(std::move(arguments));
    start.environment = std::move(environment);
    start.pass = {{err.get(), STDERR_FILENO}};
    return run(start).status;
  }

  OwnedFd reads_;
  OwnedFd writes_;

  Stderr() {
    int ends[2];
    check(::pipe2(ends, O_CLOEXEC), "pipe2");
    reads_ = OwnedFd(ends[0]);
    writes_ = OwnedFd(ends[1]);
  }
};

TEST_F(Stderr, ThatIsClosedDoesNotHideTheStatus) {
  reads_.close();
  EXPECT_EQ(status(writes_, {"--timeout", "1", "sleep", "100"}), WaitStatus::for_exit_code(124));
  EXPECT_EQ(status(writes_, {"--nonsense"}), WaitStatus::for_exit_code(125));
  EXPECT_EQ(status(writes_, {"nonexistent-daemon"}), WaitStatus::for_exit_code(127));
  EXPECT_EQ(status(writes_, {"sh", "-c", "kill -KILL $$"}), WaitStatus::for_exit_code(137));
  // Somebody complains in every hop, and the payload runs all the same.
  EXPECT_EQ(status(writes_, {"sh", "-c", "exit 3"}, {"FDCHAIN_LOG=debug", "LISTEN_PID=1", "LISTEN_FDS=1"}),
            WaitStatus::for_exit_code(3));
}

TEST_F(Stderr, ThatNobodyReadsHoldsNothingUp) {
  ::fcntl(writes_.get(), F_SETFL, O_NONBLOCK);
  while (::write(writes_.get(), "full", 4) > 0) {
  }
  ::fcntl(writes_.get(), F_SETFL, 0);
  EXPECT_EQ(status(writes_, {"--timeout", "1", "sleep", "100"}), WaitStatus::for_exit_code(124));
  EXPECT_EQ(status(writes_, {"nonexistent-daemon"}), WaitStatus::for_exit_code(127));
}

class FifoLog : public ChainTest {
 protected:
  FifoLog() { check(::mkfifo(file("log").c_str(), 0600), "mkfifo"); }
  OwnedFd reader() const {
    return OwnedFd(check(::open(file("log").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open"));
  }
  std::string log() const { return "k8s-file:" + file("log"); }
};

TEST_F(FifoLog, ThatNobodyReadsIsRefused) {
  const Result result = run(launcher({"--log", log(), "sleep", "100"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(result.err, "launcher: monitor: --log " + log() + ": nobody reads this FIFO\n");
}

TEST_F(FifoLog, ThatIsFullStopsTheLogAndNotThePayload) {
  const OwnedFd nobody = reader();
  const Result result = run(launcher({"--log", log(), "sh", "-c", "head -c 1000000 /dev/zero; exit 3"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(3));
  EXPECT_EQ(result.err,
            "monitor: write " + file("log") +
                ": Resource temporarily unavailable; the payload's output is dropped from here on\n");
}

TEST_F(FifoLog, WhoseReaderLeavesStopsTheLogAndNotThePayload) {
  OwnedFd reads = reader();
  Program chain(launcher({"--log", log(), "sh", "-c",
                          "trap 'echo two; kill -KILL $!; wait; exit 3' USR1; sleep 100 & echo one; wait"}));
  pollfd said{reads.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&said, 1, 30'000), 1);
  reads.close();
  chain.signal(SIGUSR1);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(3));
  EXPECT_EQ(result.err, "monitor: write " + file("log") +
                            ": Broken pipe; the payload's output is dropped from here on\n");
}

TEST_F(BadInput, ALogThatReachesItsLimitStopsAndThePayloadDoesNot) {
  Start start;
  start.argv = {"sh", "-c",
                "ulimit -f 1; exec " + bin("launcher") + " --log k8s-file:" + file("log") +
                    " sh -c 'head -c 5000 /dev/zero; exit 3'"};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(3));
  EXPECT_EQ(result.err, "monitor: write " + file("log") +
                            ": File too large; the payload's output is dropped from here on\n");
}

TEST_F(BadInput, ANotifySocketThatIsGoneIsAWarning) {
  Start start = launcher({"--sdnotify", "conmon", "true"});
  start.environment = {"NOTIFY_SOCKET=/nonexistent/notify"};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(result.err,
            "launcher: warning: send to NOTIFY_SOCKET=/nonexistent/notify: No such file or directory\n");
}

TEST_F(BadInput, ANotifySocketThatCannotBeOneIsAWarning) {
  const std::string path = '/' + std::string(200, 'n');
  for (const auto& [socket, why] : std::map<std::string, std::string>{
           {path, path.substr(0, 120) + "...: longer than a unix socket address can be"},
           {"run/notify", "run/notify: neither a /path nor an @abstract name"}}) {
    for (const auto& [words, hop] : std::map<std::vector<std::string>, std::string>{
             {{"--sdnotify", "conmon", "true"}, "launcher"},
             {{"--listen", "unix:@a", "payload", "hold"}, "payload"}}) {
      Start start = launcher(words);
      start.environment = {"NOTIFY_SOCKET=" + socket};
      Program chain(start);
      const std::string line = hop + ": warning: NOTIFY_SOCKET=" + why + "\n";
      EXPECT_EQ(chain.wait_for_err("\n"), line);
      if (hop == "payload") chain.signal(SIGTERM);
      const Result result = chain.finish();
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
      EXPECT_EQ(result.err, line);
    }
  }
}

TEST_F(BadInput, AnAnnouncedFileOrConnectionIsPassedOnAndServedOrNamed) {
  Start start;
  start.argv = as_activated({bin("launcher"), "payload"});
  start.environment = {"LISTEN_FDS=2"};
  const OwnedFd regular(check(::open("/etc/passwd", O_RDONLY | O_CLOEXEC), "open"));
  const OwnedFd connection = connected_socket();
  start.pass = {{regular.get(), 3}, {connection.get(), 4}};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << "its connection is at its end";
  EXPECT_EQ(result.err,
            "payload: warning: descriptor 3 (unknown, REG /etc/passwd): echo does not serve this kind\n");
}

TEST_F(BadInput, TheMonitorAndTheShimRefuseAHandshakeThatIsNone) {
  Start start;
  start.argv = as_activated({bin("monitor"), "--", "true"});
  start.environment = {"LISTEN_FDS=1", "_OCI_SYNCPIPE=3"};
  start.pass = {{STDERR_FILENO, 3}};
  EXPECT_EQ(run(start).err,
            "monitor: _OCI_SYNCPIPE=3: stdio or a descriptor to pass on, not one of the handshake\n");
  start.environment = {"LISTEN_FDS=1", "_OCI_STARTPIPE=77"};
  EXPECT_EQ(run(start).err, "monitor: _OCI_STARTPIPE=77: not an open descriptor\n");
  start.argv = {bin("runtime-shim"), "--sync-fd", "9", "--", "true"};
  start.environment = {};
  EXPECT_EQ(run(start).err, "runtime-shim: --sync-fd=9: not an open descriptor\n");
  start.argv = {bin("monitor"), "--", "true"};
  start.environment = {"_OCI_SYNCPIPE=3", "_OCI_STARTPIPE=3"};
  // A sync pipe is written to, and this one can be read.
  const OwnedFd pipe = connected_socket();
  start.pass = {{pipe.get(), 3}};
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(125));
  start.argv = as_activated({bin("monitor"), "--runtime-sync-fd", "3", "--", "true"});
  start.environment = {"LISTEN_FDS=1"};
  EXPECT_EQ(run(start).err, "monitor: --runtime-sync-fd 3: stdio or a descriptor to pass on is there\n");
}

TEST_F(BadInput, ThePayloadsOwnMistakesAreNamedByIt) {
  for (const auto& [arguments, err] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"sing"}, "payload: 'sing' is not one of echo, report, hold\n"},
           {{"echo", "hold"}, "payload: 'hold' is one word too many\n"},
           {{"--exit-code", "256"}, "payload: --exit-code 256: not from 0 to 255\n"}}) {
    Start start;
    start.argv = {bin("payload")};
    start.argv.insert(start.argv.end(), arguments.begin(), arguments.end());
    const Result result = run(start);
    EXPECT_EQ(result.err, err);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  }
}

TEST_F(BadInput, AVariableForDevelopersThatSaysNothingIsRefused) {
  for (const auto& [variable, err] : std::map<std::string, std::string>{
           {"FDCHAIN_LOG=loud",
            ": not LEVEL or HOP=LEVEL[,...]; levels are debug, info, warn, error and off\n"},
           {"FDCHAIN_LOG=warn,crun=debug",
            ": not LEVEL or HOP=LEVEL[,...]; levels are debug, info, warn, error and off\n"},
           {"FDCHAIN_STOP=payload:departure", ": payload has no moment departure\n"}}) {
    Start start = launcher({"true"});
    start.environment = {variable};
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: " + variable + err);
  }
}

TEST_F(BadInput, WhatOthersWroteReachesNoTerminalRaw) {
  Start start = launcher({"--sdnotify", "conmon", "true"});
  start.environment = {"NOTIFY_SOCKET=/\x1b]0;owned"};
  EXPECT_THAT(run(start).err, HasSubstr("launcher: warning: send to NOTIFY_SOCKET=/\\x1b]0;owned: "));
}

}  // namespace
}  // namespace fdchain::test
