// The runtime shim as an OCI runtime: alone, and cell by cell against crun and runc.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "integration/real/oci_beside.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

/// Two sockets, with their identities.
struct Sockets {
  OwnedFd first{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  OwnedFd second{check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};

  Sockets() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    for (const auto* const fd : {&first, &second})
      check(::bind(fd->get(), reinterpret_cast<const sockaddr*>(&address), sizeof(sa_family_t)), "bind");
    check(::listen(first.get(), 5), "listen");
  }
  [[nodiscard]] std::vector<std::pair<int, int>> window() const {
    return {{first.get(), 3}, {second.get(), 4}};
  }
};

void expect_same_sockets(const PayloadReport& report, const Sockets& sockets) {
  EXPECT_EQ(report.identity(3), identity_of(*observe_fd(sockets.first.get())));
  EXPECT_EQ(report.identity(4), identity_of(*observe_fd(sockets.second.get())));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

pid_t pid_in(const std::string& path) { return std::stoi(read_file(path)); }

class OciSockets : public OciTest {};

TEST_F(OciSockets, ReachThePayloadAsTheVeryObjectsAndNothingElseDoes) {
  write(config({"/payload", "report"}));
  const Sockets sockets;
  Start start = runtime({"--log", file("log"), "run", "-b", bundle(), "c"});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=2", "LISTEN_FDNAMES=web:log"};
  start.pass = sockets.window();
  start.pass.emplace_back(sockets.first.get(), 9);  // a stray
  const Result result = run(start);
  ASSERT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  const PayloadReport report(result.out);
  EXPECT_EQ(report.pid(), 1);
  EXPECT_EQ(report.adopted(), 2);
  EXPECT_THAT(report.names(), ElementsAre("web", "log"));
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4));
  expect_same_sockets(report, sockets);
}

TEST_F(OciSockets, AreCountedOnce) {
  // As podman 4.8 says it: in the environment, in the option, and in config.json.
  oci::Config wanted = config({"/payload", "report"});
  wanted.process->env = {"PATH=/bin", "LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=a:b"};
  write(wanted);
  const Sockets sockets;
  Start start = runtime({"run", "--preserve-fds", "2", "-b", bundle(), "c"});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=2"};
  start.pass = sockets.window();
  for (int stray = 5; stray <= 8; ++stray) start.pass.emplace_back(sockets.first.get(), stray);
  const PayloadReport report(run(start).out);
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(report.names(), ElementsAre("a", "b"));
  expect_same_sockets(report, sockets);
}

TEST_F(OciSockets, AreNamedByThePidThatThePayloadHas) {
  oci::Config wanted = config({"/payload", "report"});
  wanted.process->env = {"PATH=/bin", "LISTEN_FDS=2", "LISTEN_PID=1"};
  std::erase_if(wanted.linux_.namespaces, [](const auto& each) { return each.type == "pid"; });
  write(wanted);
  const Sockets sockets;
  Start start = runtime({"run", "--preserve-fds=2", "-b", bundle(), "c"});
  start.pass = sockets.window();
  const Result result = run(start);
  const PayloadReport report(result.out);
  EXPECT_GT(report.pid(), 1);
  EXPECT_EQ(report.adopted(), 2);
}

TEST_F(OciSockets, OfSomebodyElseAreNotPassedOn) {
  write(config({"/payload", "report"}));
  const Sockets sockets;
  Start start = runtime({"run", "-b", bundle(), "c"});
  start.environment = {"LISTEN_FDS=2", "LISTEN_PID=1"};
  start.pass = sockets.window();
  const PayloadReport report(run(start).out);
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2));
  EXPECT_EQ(report.variable("LISTEN_FDS"), "");
}

TEST_F(OciSockets, ThatAreNotThereAreRefused) {
  write(config({"/payload", "report"}));
  const Sockets sockets;
  Start start = runtime({"run", "--preserve-fds", "3", "-b", bundle(), "c"});
  start.pass = sockets.window();
  Result result = run(start);
  EXPECT_EQ(result.err, "runtime-shim: --preserve-fds 3: descriptor 5 is not open\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  start = runtime({"run", "-b", bundle(), "c"});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=3"};
  start.pass = sockets.window();
  result = run(start);
  EXPECT_EQ(result.err, "runtime-shim: LISTEN_FDS=3: descriptor 5 is not open\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  // crun closes the payload's own descriptors for the first, and takes the second for 2.
  for (const std::string count : {"-1", "2x"}) {
    start.environment = {"LISTEN_FDS=" + count};
    result = run(start);
    EXPECT_THAT(result.err, StartsWith("runtime-shim: LISTEN_FDS=" + count + ": "));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  }
}

class OciLife : public OciTest {
 protected:
  void create(const std::string& script) {
    write(config(shell(script)));
    succeed({"create", "-b", bundle(), "--pid-file", file("pid"), "c"});
  }
  std::string status() { return json::parse(succeed({"state", "c"}).out).at("status").as_string().c_str(); }
};

TEST_F(OciLife, FromCreateToDelete) {
  const std::string door = file("bundle/rootfs/door");
  check(::mkfifo(door.c_str(), 0600), "mkfifo");
  create("echo here > /started; read x < /door; exit 3");
  const json::object created = json::parse(succeed({"state", "c"}).out).as_object();
  EXPECT_EQ(created.at("status"), "created");
  EXPECT_EQ(created.at("pid"), pid_in(file("pid")));
  EXPECT_EQ(created.at("bundle").as_string(), fs::canonical(bundle()).string());
  EXPECT_FALSE(fs::exists(root() + "/started"));
  succeed({"start", "c"});
  EXPECT_EQ(status(), "running");
  EXPECT_EQ(succeed({"list", "-q"}).out, "c\n");
  EXPECT_THAT(succeed({"ps", "c"}).out, HasSubstr('\n' + read_file(file("pid")) + '\n'));
  std::ofstream(door) << "go\n";
  expect_nobody_left();
  EXPECT_EQ(status(), "stopped");
  succeed({"delete", "c"});
  EXPECT_EQ(read_file(root() + "/started"), "here\n");
}

TEST_F(OciLife, WhatIsOutOfTurnIsRefused) {
  create("sleep 100");
  const auto refusal = [&](Words words) {
    fs::remove(file("log"));
    words.insert(words.begin(), {"--log", file("log"), "--log-format=json"});
    const Result result = run(runtime(words));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
    const json::object line = json::parse(read_file(file("log"))).as_object();
    EXPECT_EQ("runtime-shim: " + std::string(line.at("msg").as_string()) + '\n', result.err);
    return result.err;
  };
  EXPECT_EQ(refusal({"create", "-b", bundle(), "c"}), "runtime-shim: container c: it already exists\n");
  succeed({"start", "c"});
  EXPECT_EQ(refusal({"start", "c"}), "runtime-shim: container c: it is running, not created\n");
  EXPECT_EQ(refusal({"delete", "c"}),
            "runtime-shim: container c: it is running; kill it first, or use --force\n");
  EXPECT_EQ(refusal({"kill", "c", "NOPE"}), "runtime-shim: kill: NOPE: not a signal\n");
  succeed({"kill", "c", "9"});
  expect_nobody_left();
  EXPECT_EQ(refusal({"kill", "c", "9"}), "runtime-shim: container c: it is stopped: No such process\n");
  succeed({"kill", "--all", "c", "9"});
  EXPECT_EQ(refusal({"start", "c"}), "runtime-shim: container c: it is stopped, not created\n");
  succeed({"delete", "c"});
  EXPECT_EQ(refusal({"delete", "c"}), "runtime-shim: container c: it does not exist\n");
  succeed({"delete", "--force", "c"});
}

TEST_F(OciLife, DeleteEndsWhatIsOnlyCreatedAndWithForceWhatRuns) {
  create("sleep 100");
  succeed({"delete", "c"});
  create("trap '' TERM; sleep 100");
  succeed({"start", "c"});
  succeed({"kill", "--all", "c", "TERM"});
  succeed({"delete", "--force", "c"});
}

TEST_F(OciLife, AWaitingContainerHoldsNothingOfTheHostsAndItsProgramCannotBeWritten) {
  create("true");
  const std::string proc = "/proc/" + read_file(file("pid"));
  std::set<std::string> held;
  for (const auto& entry : fs::directory_iterator(proc + "/fd"))
    held.insert(fs::read_symlink(entry.path()).filename().string().substr(0, 5));
  for (const auto* const stdio : {"pipe:", "memfd"}) held.erase(stdio);
  EXPECT_THAT(held, ElementsAre("exec."));
  // The attack: keep hold of the file while it runs, and write when it does not run any more.
  const OwnedFd held_program(check(::open((proc + "/exe").c_str(), O_PATH | O_CLOEXEC), "open"));
  succeed({"delete", "c"});
  expect_nobody_left();
  EXPECT_LT(::open(("/proc/self/fd/" + std::to_string(held_program.get())).c_str(), O_WRONLY | O_CLOEXEC), 0);
  // Busy while another test runs the same file, and read-only in any case.
  EXPECT_TRUE(errno == EROFS || errno == ETXTBSY) << errno;
}

TEST_F(OciLife, APidThatHasChangedHandsIsNotTheContainers) {
  create("true");
  json::object state = json::parse(read_file(states() + "/c/state.json")).as_object();
  ::kill(pid_in(file("pid")), SIGKILL);
  expect_nobody_left();
  state["pid"] = ::getpid();
  std::ofstream(states() + "/c/state.json") << json::serialize(state);
  EXPECT_EQ(status(), "stopped");
  EXPECT_EQ(run(runtime({"kill", "c", "9"})).status, WaitStatus::for_exit_code(1));
  succeed({"delete", "c"});
}

TEST_F(OciLife, AKilledCreatorLeavesNobodyAndCanBeDeleted) {
  oci::Config wanted = config(shell("true"));
  check(::mkfifo(file("hook").c_str(), 0600), "mkfifo");
  wanted.annotations = {{"run.oci.hooks.stderr", "/dev/stderr"}};
  wanted.hooks.create_runtime = {
      {"/bin/sh", {"sh", "-c", "echo there >&2; read x < " + file("hook")}, {}, {}}};
  write(wanted);
  Program creator(runtime({"create", "-b", bundle(), "c"}));
  creator.wait_for_err("there");
  creator.signal(SIGKILL);
  const OwnedFd door(check(::open(file("hook").c_str(), O_RDWR | O_CLOEXEC), "open"));
  check(::write(door.get(), "x\n", 2), "write");
  creator.finish();
  expect_nobody_left();
  EXPECT_EQ(run(runtime({"state", "c"})).status, WaitStatus::for_exit_code(1));
  succeed({"delete", "c"});
}

TEST_F(OciLife, HooksRunInTheirOrderWithTheStateOnStdin) {
  oci::Config wanted = config(shell("echo payload >> /order"));
  const auto hook = [&](const std::string& name, const std::string& where) {
    return oci::Hook{
        "/bin/sh", {"sh", "-c", "read state; echo " + name + ' ' + where + " ${state%%,\\\"pid*}"}, {}, 30};
  };
  const auto outside = [&](const std::string& name) {
    oci::Hook made = hook(name, "");
    made.args[2] += " >> " + root() + "/order";
    return std::vector{made};
  };
  wanted.hooks.prestart = outside("prestart");
  wanted.hooks.create_runtime = outside("createRuntime");
  wanted.hooks.create_container = outside("createContainer");
  oci::Hook inside = hook("startContainer", "");
  inside.args[2] += " >> /order";
  wanted.hooks.start_container = {inside};
  wanted.hooks.poststop = outside("poststop");
  const Result result = run_container(wanted);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  const std::string state = " {\"ociVersion\":\"1.0.2\",\"id\":\"c\"";
  EXPECT_THAT(lines_of(read_file(root() + "/order")),
              ElementsAre("prestart" + state, "createRuntime" + state, "createContainer" + state,
                          "startContainer" + state, "payload", "poststop" + state));
}

TEST_F(OciLife, AFailingHookEndsTheCreation) {
  oci::Config wanted = config(shell("true"));
  wanted.hooks.prestart = {{"/bin/false", {}, {}, {}}};
  EXPECT_EQ(run_container(wanted).err, "runtime-shim: prestart hook /bin/false exited with status 1\n");
}

class OciExec : public OciLife {
 protected:
  void SetUp() override {
    create("sleep 100");
    succeed({"start", "c"});
  }
  void TearDown() override {
    succeed({"delete", "--force", "c"});
    OciTest::TearDown();
  }
};

TEST_F(OciExec, RunsInTheContainerAsWhomItIsTold) {
  const Result result =
      succeed({"exec", "-u", "7:8", "-g", "9", "-e", "A=b", "--cwd", "/tmp", "c", "sh", "-c",
               "id -u; id -g; id -G; pwd; echo $A; hostname; echo $$ > /dev/null; ls /proc/self/fd | wc -l"});
  EXPECT_THAT(lines_of(result.out), ElementsAre("7", "8", "8 9", "/tmp", "b", "probe", "4"));
}

TEST_F(OciExec, ItsStatusIsTheProgramsAnd255WhenThereIsNone) {
  EXPECT_EQ(run(runtime({"exec", "c", "sh", "-c", "exit 9"})).status, WaitStatus::for_exit_code(9));
  EXPECT_EQ(run(runtime({"exec", "c", "sh", "-c", "kill -9 $$"})).status, WaitStatus::for_exit_code(137));
  const Result missing = run(runtime({"exec", "c", "nosuch"}));
  EXPECT_EQ(missing.err, "runtime-shim: exec nosuch: not found in PATH: No such file or directory\n");
  EXPECT_EQ(missing.status, WaitStatus::for_exit_code(255));
}

TEST_F(OciExec, TakesTheProcessFromAFileAndLeavesIt) {
  oci::Process process;
  process.args = {"/bin/sh", "-c", "echo $X > /out; cat /door > /dev/null; exit 0"};
  process.env = {"PATH=/bin", "X=y"};
  check(::mkfifo((root() + "/door").c_str(), 0600), "mkfifo");
  std::ofstream(file("process.json")) << oci::encode(process);
  succeed({"exec", "--process", file("process.json"), "--detach", "--pid-file", file("exec.pid"), "c"});
  const pid_t pid = pid_in(file("exec.pid"));
  EXPECT_EQ(::kill(pid, 0), 0);
  std::ofstream(root() + "/door") << "x";
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(read_file(root() + "/out"), "y\n");
}

TEST_F(OciExec, PassesOnlyWhatIsAnnounced) {
  const Sockets sockets;
  Start start = runtime({"exec", "--preserve-fds", "2", "c", "/payload", "report"});
  start.pass = sockets.window();
  start.pass.emplace_back(sockets.first.get(), 7);
  const PayloadReport report(run(start).out);
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4));
  expect_same_sockets(report, sockets);
}

class OciTerminal : public OciTest {};

TEST_F(OciTerminal, IsPassedThroughWhenNobodyElseTakesIt) {
  oci::Config wanted = config(shell("tty; read x; echo got $x"));
  wanted.process->terminal = true;
  write(wanted);
  Start start;
  start.argv = {"script", "-qec", bin("runtime-shim") + " --root " + states() + " run -b " + bundle() + " c",
                "/dev/null"};
  start.input = "word\n";
  const Result result = run(start);
  EXPECT_THAT(result.out, AllOf(HasSubstr("/dev/pts/0"), HasSubstr("got word")));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
}

TEST_F(OciTerminal, IsSentToTheConsoleSocket) {
  oci::Config wanted = config(shell("echo on $(tty); ls -l /dev/console; read x"));
  wanted.process->terminal = true;
  wanted.process->console_size = oci::ConsoleSize{11, 22};
  write(wanted);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  file("console").copy(address.sun_path, sizeof address.sun_path - 1);
  const OwnedFd listener(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  check(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  check(::listen(listener.get(), 1), "listen");
  succeed({"create", "--console-socket", file("console"), "-b", bundle(), "c"});
  const OwnedFd peer(check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  char byte[64];
  iovec part{byte, sizeof byte};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  check(::recvmsg(peer.get(), &message, MSG_CMSG_CLOEXEC), "recvmsg");
  ASSERT_NE(CMSG_FIRSTHDR(&message), nullptr);
  int number = -1;
  std::memcpy(&number, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof number);
  const OwnedFd master(number);
  succeed({"start", "c"});
  std::string said;
  for (char buffer[256]; said.find("console") == std::string::npos;) {
    const ssize_t got = ::read(master.get(), buffer, sizeof buffer);
    if (got <= 0) break;
    said.append(buffer, static_cast<std::size_t>(got));
  }
  EXPECT_THAT(said, HasSubstr("on /dev/pts/0"));
  check(::write(master.get(), "x\n", 2), "write");
  expect_nobody_left();
  succeed({"delete", "c"});
}

TEST_F(OciTerminal, NeedsSomebodyToHoldIt) {
  oci::Config wanted = config(shell("true"));
  wanted.process->terminal = true;
  write(wanted);
  EXPECT_EQ(run(runtime({"create", "-b", bundle(), "c"})).err,
            "runtime-shim: process.terminal: needs --console-socket when nobody stays with the container\n");
}

class OciRoot : public OciTest {};

TEST_F(OciRoot, LinksOfAnImageLeadNowhereOutside) {
  fs::create_directory(file("outside"));
  fs::create_symlink(file("outside"), root() + "/link");
  fs::create_symlink("../../../../../.." + file("outside"), root() + "/up");
  oci::Config wanted = config(shell("cat /link/a/b /up/c; ls /link"));
  std::ofstream(file("content")) << "content\n";
  wanted.mounts.push_back({"/link/a/b", "bind", file("content"), {"bind"}, false});
  wanted.mounts.push_back({"/up/c", "bind", file("content"), {"bind"}, false});
  // The target of the links, inside.
  fs::create_directories(root() + file("outside"));
  const Result result = run_container(wanted);
  EXPECT_EQ(result.out, "content\ncontent\na\nc\n") << result.err;
  EXPECT_TRUE(fs::is_empty(file("outside")));
}

TEST_F(OciRoot, ALinkInThePlaceOfProcIsRefused) {
  fs::remove(root() + "/proc");
  fs::create_symlink("/tmp", root() + "/proc");
  EXPECT_THAT(run_container(config(shell("true"))).err,
              "runtime-shim: mount /proc: not a plain directory of the root file system\n");
}

TEST_F(OciRoot, AWorkingDirectoryOutsideIsRefused) {
  for (int number = 3; number < 12; ++number) {
    oci::Config wanted = config(shell("echo inside; pwd; ls"));
    wanted.process->cwd = "/proc/self/fd/" + std::to_string(number);
    const Result result = run_container(wanted);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1)) << number;
    EXPECT_EQ(result.out, "") << number;
    EXPECT_EQ(lines_of(result.err).size(), 1U) << result.err;
  }
}

TEST_F(OciRoot, StdinFromTheHostsNullIsFromTheContainersOwn) {
  write(config(shell("[ /proc/self/fd/0 -ef /dev/null ] && echo own")));
  Start start = runtime({"run", "-b", bundle(), "c"});
  start.argv.insert(start.argv.begin(), {"sh", "-c", "exec \"$@\" < /dev/null", "sh"});
  EXPECT_EQ(run(start).out, "own\n");
}

TEST_F(OciRoot, AHostsKernelParameterIsNotSet) {
  oci::Config wanted = config(shell("true"));
  wanted.linux_.sysctl = {{"kernel.core_pattern", "x"}};
  EXPECT_EQ(run_container(wanted).err,
            "runtime-shim: linux.sysctl: kernel.core_pattern: not a parameter of a namespace\n");
  std::erase_if(wanted.linux_.namespaces, [](const auto& each) { return each.type == "network"; });
  wanted.linux_.sysctl = {{"net.ipv4.ip_forward", "1"}};
  EXPECT_EQ(run_container(wanted).err,
            "runtime-shim: linux.sysctl: net.ipv4.ip_forward: it would be the host's, without a network "
            "namespace of the container's own\n");
}

TEST_F(OciRoot, WhatIsMaskedOrReadOnlyIsSo) {
  oci::Config wanted =
      config(shell("cat /proc/keys | wc -c; ls /etc | wc -l; (echo x > /proc/sys/kernel/hostname) 2>&1; "
                   "(echo x > /new) 2>&1"));
  wanted.linux_.masked_paths = {"/proc/keys", "/etc", "/nonexistent"};
  wanted.linux_.readonly_paths = {"/proc/sys"};
  wanted.root.readonly = true;
  std::ofstream(root() + "/etc/secret") << "x";
  EXPECT_THAT(lines_of(run_container(wanted).out),
              ElementsAre("0", "0", HasSubstr("Read-only file system"), HasSubstr("Read-only file system")));
}

TEST_F(OciRoot, ATmpfsBeginsWithWhatItHides) {
  fs::create_directories(root() + "/var/deep");
  std::ofstream(root() + "/var/deep/file") << "kept\n";
  fs::create_symlink("/etc/passwd", root() + "/var/link");
  oci::Config wanted = config(shell("cat /var/deep/file; readlink /var/link; (echo x > /var/new) 2>&1"));
  wanted.mounts.push_back({"/var", "tmpfs", "tmpfs", {"tmpcopyup", "ro"}, false});
  EXPECT_THAT(lines_of(run_container(wanted).out),
              ElementsAre("kept", "/etc/passwd", HasSubstr("Read-only file system")));
}

TEST_F(OciRoot, AUserNamespaceHasTheUsersItIsGiven) {
  fs::permissions(directory_.path(), fs::perms::all);
  oci::Config wanted = config(
      shell("id -u; cat /proc/self/uid_map | awk '{print $1,$2,$3}'; echo x > /dev/null && ls /dev/null"));
  wanted.linux_.namespaces.push_back({"user", ""});
  wanted.linux_.uid_mappings = {{0, 100000, 1000}};
  wanted.linux_.gid_mappings = {{0, 100000, 1000}};
  for (const auto& entry : fs::recursive_directory_iterator(root()))
    check(::lchown(entry.path().c_str(), 100000, 100000), "lchown");
  check(::chown(root().c_str(), 100000, 100000), "chown");
  const Result result = run_container(wanted);
  EXPECT_THAT(lines_of(result.out), ElementsAre("0", "0 100000 1000", "/dev/null")) << result.err;
}

TEST_F(OciRoot, AnOrdinaryUserHasContainersToo) {
  write_for_ordinary_user(config(shell("id -u; hostname")));
  const Result result = run(runtime_of_ordinary_user({"run", "-b", bundle(), "c"}));
  EXPECT_EQ(result.out, "0\nprobe\n") << result.err;
}

/// Bad input, and the one line it gets.
struct Bad {
  std::string label;
  std::string config;   ///< instead of a good one; - for none, + for 100 MB
  Words words;          ///< after the program's name; empty: run -b BUNDLE c
  std::string message;  ///< a regular expression
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.label; }

class OciBadInput : public OciTest, public ::testing::WithParamInterface<Bad> {};

TEST_P(OciBadInput, GetsOneLineStatus1AndLeavesNothing) {
  const Bad& bad = GetParam();
  write(config(shell("true")));
  if (bad.config == "-") {
    fs::remove(bundle() + "/config.json");
  } else if (bad.config == "+") {
    // Not held in the list of these tests: every test of this program would make and copy it first.
    fs::resize_file(bundle() + "/config.json", 100'000'000);
  } else if (!bad.config.empty()) {
    write_text(bad.config);
  }
  const std::string log = file("log");
  Words words{"--log", log, "--log-format=json"};
  const Words rest = bad.words.empty() ? Words{"run", "-b", bundle(), "c"} : bad.words;
  words.insert(words.end(), rest.begin(), rest.end());
  const Result result = run(runtime(words));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_THAT(result.err, MatchesRegex("runtime-shim: " + bad.message + "\n"));
  const json::object line = json::parse(read_file(log)).as_object();
  EXPECT_EQ("runtime-shim: " + std::string(line.at("msg").as_string()) + '\n', result.err);
  EXPECT_EQ(line.at("level"), "error");
}

std::string with(const std::string& more) {
  return R"({"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"args":["true"],"cwd":"/"})" + more +
         "}";
}
constexpr const char* mount_only = R"(,"linux":{"namespaces":[{"type":"mount"}])";

INSTANTIATE_TEST_SUITE_P(
    All, OciBadInput,
    ::testing::Values(
        Bad{"missing", "-", {}, "open .*/bundle/config.json: No such file or directory"},
        Bad{"not_json", "hello", {}, ".*config.json: not JSON: syntax error"},
        Bad{"empty", " ", {}, ".*config.json: not JSON: incomplete JSON"},
        Bad{"huge", "+", {}, ".*config.json: 100000000 bytes, more than the 33554432 that are read"},
        Bad{"wrong_type", R"({"ociVersion":"1.0.2","root":"rootfs"})", {}, ".*: root: not an object"},
        Bad{"future", R"({"ociVersion":"2.0","root":{"path":"rootfs"}})", {}, ".*: ociVersion: 2.0: .*"},
        Bad{"no_root",
            R"({"ociVersion":"1.0.2","root":{"path":"nope"},"process":{"args":["x"],"cwd":"/"}})",
            {},
            "root.path .*nope: No such file or directory"},
        Bad{"host_root",
            R"({"ociVersion":"1.0.2","root":{"path":"/"},"process":{"args":["x"],"cwd":"/"}})",
            {},
            "root.path: /: the host's own root cannot be a container's"},
        Bad{"no_mount_namespace", with(""), {}, "linux.namespaces: without a mount namespace .*"},
        Bad{"limit",
            with(std::string(mount_only) + R"(,"resources":{"memory":{"limit":1000}}})"),
            {},
            "linux.resources.memory.limit: a limit needs a cgroup, .*"},
        Bad{"namespace",
            with(R"(,"linux":{"namespaces":[{"type":"mount"},{"type":"x"}]})"),
            {},
            "linux.namespaces: x: not a namespace that this runtime makes"},
        Bad{"namespace_path",
            with(R"(,"linux":{"namespaces":[{"type":"mount"},{"type":"network","path":"/nope"}]})"),
            {},
            "linux.namespaces: network /nope: No such file or directory"},
        Bad{"strict",
            with(std::string(mount_only) + R"(,"seccomp":{"defaultAction":"x"}})"),
            {"--strict", "run", "-b", "bundle", "c"},
            "--bundle bundle: No such file or directory"},
        Bad{"unknown_id", "", {"start", "nope"}, "container nope: it does not exist in .*"},
        Bad{"command", "", {"frob", "x"}, "frob: unknown command; see --help"},
        Bad{"option", "", {"start", "--nope", "x"}, "--nope: unknown option"}),
    [](const auto& param_info) { return param_info.param.label; });

/// What is no id, and why.
struct NoId {
  std::string id;
  std::string why;
};

class OciWrongName : public OciTest {};

TEST_F(OciWrongName, NoVerbTakesWhatIsNoId) {
  write(config(shell("true")));
  for (const auto& [id, why] :
       {NoId{"a/b", "only letters, digits and _ - + . may be in it"}, NoId{"..", "a directory's own name"},
        NoId{"../x", "only letters, digits and _ - + . may be in it"}, NoId{".", "a directory's own name"},
        NoId{"", "empty"}}) {
    for (const Words& words : {Words{"create", "-b", bundle(), id}, Words{"run", "-b", bundle(), id},
                               Words{"start", id}, Words{"state", id}, Words{"kill", id, "9"},
                               Words{"delete", "--force", id}, Words{"ps", id}, Words{"exec", id, "true"}}) {
      const Result result = run(runtime(words));
      EXPECT_EQ(result.err, "runtime-shim: container '" + id + "': not an id: " + why + '\n') << words[0];
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(words[0] == "exec" ? 255 : 1)) << words[0];
    }
  }
}

TEST_F(OciWrongName, ARootThatIsNoDirectoryIsNamed) {
  std::ofstream(file("plain")) << "";
  for (const Words& words : {Words{"create", "-b", bundle(), "c"}, Words{"list"}}) {
    write(config(shell("true")));
    Start start = runtime(words);
    start.argv[2] = file("plain");
    const Result result = run(start);
    EXPECT_EQ(result.err, "runtime-shim: --root " + file("plain") + ": Not a directory\n");
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  }
}

class OciFullDisk : public OciTest {};

TEST_F(OciFullDisk, ForTheLogCostsTheLogAlone) {
  write(config(shell("exit 4")));
  const Result result = run(runtime({"--log", "/dev/full", "run", "-b", bundle(), "c"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(4));
  const Result refused = run(runtime({"--log", "/dev/full", "--log-format=json", "start", "c"}));
  EXPECT_EQ(refused.err, "runtime-shim: container c: it does not exist in " + states() + '\n');
  EXPECT_EQ(refused.status, WaitStatus::for_exit_code(1));
}

TEST_F(OciFullDisk, ForStateOrPidFileEndsTheCreation) {
  write(config(shell("true")));
  for (const auto& [where, what] :
       {std::pair(std::string("--root /mnt create"), "/mnt/c/config.json"),
        std::pair("--root " + states() + " create --pid-file /mnt/pid", "/mnt/pid")}) {
    Start start;
    // Room for one directory, and not for a file with something in it.
    start.argv = {
        "unshare",
        "-m",
        "sh",
        "-c",
        "mount -t tmpfs -o size=4k full /mnt && { dd if=/dev/zero of=/mnt/fill bs=4k count=1 2>/dev/null; "
        "$0 " +
            where + " -b $1 c; s=$?; rm /mnt/fill; ls /mnt; exit $s; }",
        bin("runtime-shim"),
        bundle()};
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(1)) << where;
    EXPECT_EQ(result.err, std::string("runtime-shim: write ") + what + ": No space left on device\n");
    EXPECT_EQ(result.out, "") << where;
  }
}

TEST_F(OciFullDisk, APidFileMustNotBeADevice) {
  write(config(shell("true")));
  EXPECT_EQ(run(runtime({"create", "--pid-file", "/dev/full", "-b", bundle(), "c"})).err,
            "runtime-shim: --pid-file /dev/full: there, and not a regular file\n");
}

class OciDifferential : public OciBeside {};

// What a process can see of itself and its surroundings. Of the mounts all but what covers masked paths,
// which each runtime covers in its own way.
constexpr const char* probe = R"(umask; pwd; env | sort
grep -E '^(Uid|Gid|Groups|Cap|NoNew|Sig[BIC]|Umask)' /proc/self/status
cat /proc/self/limits; hostname; ls /proc/self/fd; ls /dev | grep -v core; id -G; cat /proc/self/oom_score_adj
awk '$5 !~ /firmware|keys/ {print $5,$6,$9}' /proc/self/mountinfo; echo $$; readlink /proc/self/cwd
(echo x > /proc/sys/kernel/hostname) 2>&1; wc -c < /proc/keys; (echo x > /data/deep/file) 2>&1; cat /etc/one
awk '{print $5,$6}' /proc/1/stat)";

// As conmon has it, and so all that it starts.
Start with_sigpipe_ignored(Start start) {
  start.argv.insert(start.argv.begin(), {"env", "--ignore-signal=PIPE"});
  return start;
}

TEST_P(OciDifferential, ThePayloadSeesTheSame) {
  fs::create_directory(file("source"));
  std::ofstream(file("one")) << "one\n";
  oci::Config wanted = config(shell(probe));
  oci::Process& process = *wanted.process;
  process.user = {1000, 100, 0027, {5, 6}};
  process.capabilities = oci::Capabilities{{"CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"},
                                           {"CAP_KILL"},
                                           {"CAP_KILL"},
                                           {"CAP_KILL", "CAP_NET_BIND_SERVICE"},
                                           {"CAP_KILL"}};
  process.rlimits = {{"RLIMIT_NOFILE", 512, 600}, {"RLIMIT_CORE", 0, 0}};
  process.cwd = "/tmp";
  process.env = {"PATH=/bin", "A=b c"};
  process.no_new_privileges = true;
  process.oom_score_adj = 100;
  wanted.mounts.push_back({"/data/deep", "bind", file("source"), {"rbind", "ro", "nosuid"}, false});
  wanted.mounts.push_back({"/etc/one", "bind", file("one"), {"bind"}, false});
  wanted.linux_.masked_paths = {"/proc/keys", "/sys/firmware"};
  wanted.linux_.readonly_paths = {"/proc/sys"};
  wanted.root.readonly = true;
  // Made beforehand, so that the second runtime finds what the first has found.
  fs::create_directories(root() + "/data/deep");
  std::ofstream(root() + "/etc/one") << "";
  write(wanted);
  const Result ours = run(with_sigpipe_ignored(runtime({"run", "-b", bundle(), "c"})));
  const Result theirs = run(with_sigpipe_ignored(real({"run", "-b", bundle(), id()})));
  EXPECT_EQ(ours.out, theirs.out);
  EXPECT_THAT(lines_of(ours.out),
              AllOf(Contains("probe"), Contains("SigIgn:\t0000000000000000"), Contains("1 1")))
      << ours.err;
  EXPECT_EQ(ours.status, theirs.status);
}

TEST_P(OciDifferential, StatusesAreTheSame) {
  for (const Words& args :
       {Words{"true"}, shell("exit 7"), Words{"nosuch"}, Words{"/etc"}, Words{"/etc/nosuch"}}) {
    const Result ours = run_container(config(args));
    const Result real = theirs({"run", "-b", bundle(), id()});
    EXPECT_EQ(ours.status, real.status) << args[0] << ": " << ours.err << real.err;
  }
  for (const Words& words : {Words{"state", "nosuch"}, Words{"start", "nosuch"}, Words{"kill", "nosuch", "9"},
                             Words{"delete", "nosuch"}, Words{"delete", "--force", "nosuch"}}) {
    EXPECT_EQ(run(runtime(words)).status, theirs(words).status) << words[0];
  }
}

/// What `list` and `state` agree upon.
struct Told {
  std::string status;
  bool has_pid = false;

  friend bool operator==(const Told&, const Told&) = default;
};
void PrintTo(const Told& told, std::ostream* out) { *out << told.status << ' ' << told.has_pid; }

Told told_of(const std::string& id, const Result& list, const Result& state) {
  const json::object shown = json::parse(state.out).as_object();
  const json::array all = json::parse(list.out).as_array();
  for (const json::value& each : all) {
    if (each.at("id") != json::value(id)) continue;
    EXPECT_EQ(each.at("pid"), shown.at("pid"));
    EXPECT_EQ(each.at("status"), shown.at("status"));
    return {std::string(shown.at("status").as_string()), shown.at("pid").as_int64() != 0};
  }
  return {"not listed", false};
}

/// Both runtimes with a container that goes through its life in step.
class OciStages : public OciDifferential {
 protected:
  // The words with each runtime's id in the place of ID.
  void expect_same(const std::string& stage, const std::vector<Words>& calls) {
    for (const Words& words : calls) {
      Words for_ours = words;
      std::ranges::replace(for_ours, "ID", "c");
      Words for_real = words;
      std::ranges::replace(for_real, "ID", id());
      const Result ours = run(runtime(for_ours));
      const Result real = theirs(for_real);
      EXPECT_EQ(ours.status, real.status) << stage << ": " << words[0] << ": " << ours.err << real.err;
      EXPECT_EQ(ours.err.empty(), real.err.empty()) << stage << ": " << words[0];
      EXPECT_EQ(ours.out, real.out) << stage << ": " << words[0];
    }
  }
  void expect_stage(const Told& stage) {
    EXPECT_EQ(told_of("c", succeed({"list", "-f", "json"}), succeed({"state", "c"})), stage);
    EXPECT_EQ(told_of(id(), theirs({"list", "-f", "json"}), theirs({"state", id()})), stage);
  }
};

TEST_P(OciStages, AreToldAndAnsweredTheSame) {
  write(config({"sleep", "100"}));
  const Words create{"create", "-b", bundle(), "ID"};
  const std::vector<Words> changing_nothing{create,
                                            {"kill", "ID", "0"},
                                            {"kill", "ID", "sigcont"},
                                            {"kill", "ID", "CONT"},
                                            {"kill", "ID", "99"},
                                            {"exec", "ID", "true"},
                                            {"exec", "ID", "false"},
                                            {"exec", "ID", "nosuch"}};
  expect_same("none", {create});
  expect_stage({"created", true});
  expect_same("created", changing_nothing);
  expect_same("created", {{"start", "ID"}});
  expect_stage({"running", true});
  expect_same("running", changing_nothing);
  expect_same("running", {{"start", "ID"}, {"delete", "ID"}, {"kill", "ID", "KILL"}});
  expect_nobody_left();
  expect_stage({"stopped", false});
  expect_same(
      "stopped",
      {create, {"start", "ID"}, {"kill", "ID", "9"}, {"kill", "ID", "0"}, {"kill", "--all", "ID", "9"}});
  expect_same("stopped", {{"delete", "ID"}, {"delete", "ID"}, {"delete", "--force", "ID"}, {"state", "ID"}});
}

TEST_P(OciDifferential, StateSaysTheSame) {
  write(config({"sleep", "100"}));
  const auto keys = [](const std::string& text) {
    std::map<std::string, std::string> found;
    const json::value parsed = json::parse(text);
    for (const auto& [key, value] : parsed.as_object()) {
      // crun's own. And only two values are everybody's: crun tells the root as config.json has it, runc in
      // full as we do, and runc's owner of root's containers is nobody.
      if (key == "systemd-scope" || key == "annotations") continue;
      const bool same = key == "status" || key == "bundle";
      found[std::string(key)] = same ? json::serialize(value) : "";
    }
    return found;
  };
  succeed({"create", "-b", bundle(), "c"});
  const Result created = theirs({"create", "-b", bundle(), id()});
  EXPECT_EQ(created.status, WaitStatus::for_exit_code(0)) << created.err;
  EXPECT_EQ(keys(succeed({"state", "c"}).out), keys(theirs({"state", id()}).out));
  succeed({"delete", "--force", "c"});
}

INSTANTIATE_TEST_SUITE_P(Against, OciDifferential, real_runtimes(), label_of_real);
INSTANTIATE_TEST_SUITE_P(Against, OciStages, real_runtimes(), label_of_real);

}  // namespace
}  // namespace fdchain::test
