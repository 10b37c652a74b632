// podman's socket activation tutorial under the real systemd, with the launcher in podman's place.

#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <regex>
#include <set>

#include "fdchain/system/fd/sys.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/user_manager.h"
#include "integration/harness/wait_until.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Words = std::vector<std::string>;

class Systemd : public ChainTest {
 protected:
  // The manager is a process that this test has started, and is to be gone with the others.
  void TearDown() override {
    manager_.end();
    ChainTest::TearDown();
  }

  // The installed units, with this build's launcher, and a vsock port of this test's own: vsock has no
  // namespaces.
  void install_echo(const std::string& payload = "payload", const std::string& more_options = "") {
    std::string socket = read_file(units + "/echo.socket");
    const std::string vsock = "vsock:4294967295:";
    socket.replace(socket.find(vsock + "3000"), vsock.size() + 4, vsock + std::to_string(vsock_port()));
    manager_.write_unit("echo.socket", socket);
    std::string service = read_file(units + "/echo.service.in");
    service = std::regex_replace(service, std::regex("@FDCHAIN_LAUNCHER@"), bin("launcher"));
    service = std::regex_replace(service, std::regex(" payload\n"), more_options + ' ' + payload + '\n');
    manager_.write_unit("echo.service", service);
    // A service that stops and starts every second is no mistake in here.
    manager_.write_unit("echo.service.d/often.conf", "[Unit]\nStartLimitIntervalSec=0\n");
    manager_.reload();
  }

  // A service with a command of its own, behind no socket.
  void install_service(const std::string& more, const std::string& command) {
    manager_.write_unit("run.service", "[Service]\nNotifyAccess=all\nKillMode=mixed\n" + more +
                                           "\nExecStart=" + bin("launcher") + ' ' + command + '\n');
    manager_.reload();
  }

  static unsigned vsock_port() { return 100'000U + static_cast<unsigned>(::getpid()); }
  [[nodiscard]] std::string unix_address() const { return "unix:" + manager_.home() + "/echo_stream_sock"; }

  const std::string units = FDCHAIN_SOURCE_DIR "/integration/units";
  UserManager manager_{file("systemd")};
};

constexpr const char* tcp4 = "tcp:127.0.0.1:3000";

// Whether a vsock client of this host can reach a server of this host, which takes the module vsock_loopback.
bool vsock_loops_back() {
  const OwnedFd server(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = VMADDR_PORT_ANY;
  socklen_t length = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (!server || ::bind(server.get(), any, length) < 0 || ::listen(server.get(), 1) < 0) return false;
  ::getsockname(server.get(), any, &length);
  address.svm_cid = VMADDR_CID_LOCAL;
  const OwnedFd client(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(client.get(), any, length) == 0;
}

TEST_F(Systemd, TheFirstClientStartsTheServiceAndEveryListenerAnswers) {
  install_echo();
  manager_.must({"start", "echo.socket"});
  EXPECT_EQ(manager_.property("echo.service", "ActiveState"), "inactive");
  Words clients{tcp4, "tcp:[::1]:3000", "udp:127.0.0.1:3000", "udp:[::1]:3000", unix_address()};
  if (vsock_loops_back())
    clients.push_back("vsock:1:" + std::to_string(vsock_port()));
  else
    std::cout << "vsock: this kernel has no vsock_loopback; listened on, but not talked to\n";
  for (const std::string& client : clients) EXPECT_EQ(Client(client).ask("hello"), "hello") << client;
  EXPECT_EQ(manager_.property("echo.service", "ActiveState"), "active");
  EXPECT_EQ(manager_.main_process("echo.service"), "launcher");
  EXPECT_THAT(manager_.processes("echo.service"), ElementsAre("launcher", "monitor", "payload"));
}

TEST_F(Systemd, SocatIsAnsweredByAServiceThatWasStartedExplicitly) {
  install_echo();
  manager_.must({"start", "echo.service"});
  const std::string unix_path = manager_.home() + "/echo_stream_sock";
  for (const std::string& address :
       {std::string("TCP4:127.0.0.1:3000"), std::string("TCP6:[::1]:3000"),
        std::string("UDP4:127.0.0.1:3000"), std::string("UDP6:[::1]:3000"), "UNIX-CONNECT:" + unix_path}) {
    Start socat;
    // Datagrams have no end that could be waited for: it ends when the answer is complete.
    socat.argv = {"socat", "-t", "10", "-", address + (address.starts_with("UDP") ? ",readbytes=5" : "")};
    socat.input = "hello";
    EXPECT_EQ(run(socat).out, "hello") << address;
  }
}

// The payload feeds the watchdog, whatever its pid is: systemd would end the service after one period.
class SystemdWatchdog : public Systemd, public ::testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] std::uint64_t microseconds(const std::string& property) const {
    return std::stoull('0' + manager_.property("run.service", property));
  }

  void run_for_two_periods(const std::string& payload) {
    constexpr std::uint64_t period = 1'000'000;
    install_service("Type=notify\nWatchdogSec=1",
                    std::string(GetParam()) + "--listen tcp:127.0.0.1:3000 " + payload);
    manager_.must({"start", "run.service"});
    const std::uint64_t start = microseconds("ActiveEnterTimestampMonotonic");
    wait_until("a word to the watchdog after two periods", [&] {
      return microseconds("WatchdogTimestampMonotonic") > start + 2 * period ||
             manager_.property("run.service", "ActiveState") != "active";
    });
    EXPECT_EQ(manager_.property("run.service", "ActiveState"), "active");
    EXPECT_EQ(manager_.property("run.service", "Result"), "success");
  }
};

TEST_P(SystemdWatchdog, IsFedByAPayloadThatOnlyHoldsToo) {
  run_for_two_periods("payload hold --sdnotify");
  manager_.must({"stop", "run.service"});
  EXPECT_EQ(manager_.property("run.service", "Result"), "success");
}

TEST_P(SystemdWatchdog, IsFedByThePayloadPeriodAfterPeriod) {
  run_for_two_periods("payload --sdnotify");
  EXPECT_EQ(Client(tcp4).ask("hello"), "hello");
  manager_.must({"stop", "run.service"});
  EXPECT_EQ(manager_.property("run.service", "Result"), "success");
}

INSTANTIATE_TEST_SUITE_P(All, SystemdWatchdog, ::testing::Values("", "--pid private "),
                         [](const auto& param_info) {
                           return std::string(param_info.index == 0 ? "HostPids" : "PrivatePids");
                         });

TEST_F(Systemd, StopEndsEveryProcessAndTheSocketStillListens) {
  install_echo();
  manager_.must({"start", "echo.socket", "echo.service"});
  manager_.must({"stop", "echo.service"});
  EXPECT_EQ(manager_.property("echo.service", "ActiveState"), "inactive");
  EXPECT_EQ(manager_.property("echo.service", "Result"), "success");
  EXPECT_THAT(manager_.processes("echo.service"), IsEmpty());
  EXPECT_EQ(manager_.inside({"pgrep", "-c", "monitor|launcher|payload"}).out, "0\n");
  EXPECT_EQ(Client(tcp4).ask("again"), "again");
}

TEST_F(Systemd, AnIdleServiceStopsAndTheNextClientStartsItTenTimes) {
  install_echo("payload --idle-timeout 1");
  manager_.must({"start", "echo.socket"});
  std::string invocation;
  for (int round = 0; round < 10; ++round) {
    EXPECT_EQ(Client(tcp4).ask("hello"), "hello");
    manager_.wait_for("echo.service", "ActiveState", "inactive");
    EXPECT_EQ(manager_.property("echo.service", "Result"), "success");
    EXPECT_NE(std::exchange(invocation, manager_.property("echo.service", "InvocationID")), invocation);
  }
  EXPECT_EQ(manager_.property("echo.socket", "ActiveState"), "active");
}

// A second after the last client the payload stops: clients come just before, just after, and in between.
TEST_F(Systemd, AClientInTheVeryMomentOfTheStopIsAnswered) {
  install_echo("payload --idle-timeout 1");
  manager_.must({"start", "echo.socket"});
  EXPECT_EQ(Client(tcp4).ask("first"), "first");
  std::set<std::string> invocations{manager_.property("echo.service", "InvocationID")};
  for (int milliseconds = 990; milliseconds < 1014; milliseconds += 2) {
    const timespec moment{milliseconds / 1000, milliseconds % 1000 * 1'000'000};
    ::nanosleep(&moment, nullptr);
    for (const std::string& client : {std::string(tcp4), unix_address()}) {
      EXPECT_EQ(Client(client).ask("hello"), "hello") << client << " after " << milliseconds;
    }
    invocations.insert(manager_.property("echo.service", "InvocationID"));
  }
  EXPECT_EQ(manager_.property("echo.socket", "Result"), "success");
  EXPECT_GT(invocations.size(), 1U) << "it has never stopped, and nothing was shown";
}

TEST_F(Systemd, APayloadThatDiesIsRestarted) {
  install_echo();
  manager_.must({"start", "echo.socket", "echo.service"});
  const std::string before = manager_.property("echo.service", "MainPID");
  EXPECT_EQ(manager_.inside({"pkill", "-KILL", "-x", "payload"}).status, WaitStatus::for_exit_code(0));
  manager_.wait_for("echo.service", "NRestarts", "1");
  manager_.wait_for("echo.service", "ActiveState", "active");
  EXPECT_EQ(Client(tcp4).ask("hello"), "hello");
  EXPECT_NE(manager_.property("echo.service", "MainPID"), before);
}

TEST_F(Systemd, TheMainProcessHasThePayloadsStatus) {
  install_service("Type=notify", "--sdnotify conmon sh -c 'read x < " + file("go") + "; exit 7'");
  Start make_fifo;
  make_fifo.argv = {"mkfifo", file("go")};
  run(make_fifo);
  manager_.must({"start", "run.service"});
  EXPECT_EQ(manager_.main_process("run.service"), "launcher");
  std::ofstream(file("go")) << "go\n";
  manager_.wait_for("run.service", "ActiveState", "failed");
  EXPECT_EQ(manager_.property("run.service", "ExecMainStatus"), "7");
  EXPECT_EQ(manager_.property("run.service", "Result"), "exit-code");
}

TEST_F(Systemd, TheMonitorIsTheMainProcessOfADetachedRun) {
  install_service("Type=notify", "--detach --sdnotify conmon sh -c 'read x < " + file("go") + "; exit 7'");
  Start make_fifo;
  make_fifo.argv = {"mkfifo", file("go")};
  run(make_fifo);
  manager_.must({"start", "run.service"});
  EXPECT_EQ(manager_.main_process("run.service"), "monitor") << "as conmon is podman's";
  std::ofstream(file("go")) << "go\n";
  manager_.wait_for("run.service", "ActiveState", "failed");
  EXPECT_EQ(manager_.property("run.service", "ExecMainStatus"), "7");
  EXPECT_EQ(manager_.property("run.service", "Result"), "exit-code");
}

TEST_F(Systemd, ReadyIsThePayloadsToSayWithContainer) {
  install_service("Type=notify", "--sdnotify container sh -c 'read x < " + file("go") +
                                     "; systemd-notify --ready --status=up; exec sleep 100'");
  Start make_fifo;
  make_fifo.argv = {"mkfifo", file("go")};
  run(make_fifo);
  manager_.must({"start", "--no-block", "run.service"});
  manager_.wait_for("run.service", "ActiveState", "activating");
  std::ofstream(file("go")) << "go\n";
  manager_.wait_for("run.service", "ActiveState", "active");
  EXPECT_EQ(manager_.property("run.service", "StatusText"), "up");
  EXPECT_EQ(manager_.main_process("run.service"), "launcher");
}

TEST_F(Systemd, NobodySaysReadyWithIgnore) {
  install_service("Type=notify\nTimeoutStartSec=500ms", "--sdnotify ignore payload hold");
  EXPECT_NE(manager_.systemctl({"start", "run.service"}).status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(manager_.property("run.service", "Result"), "timeout");
  EXPECT_THAT(manager_.processes("run.service"), IsEmpty());
}

TEST_F(Systemd, AnIsolatedServiceIsStoppedLikeAnyOther) {
  install_echo("payload", " --pid private --userns private");
  manager_.must({"start", "echo.service"});
  EXPECT_EQ(Client(tcp4).ask("hello"), "hello");
  EXPECT_EQ(manager_.main_process("echo.service"), "launcher");
  EXPECT_THAT(manager_.processes("echo.service"), ElementsAre("launcher", "monitor", "payload"));
  manager_.must({"stop", "echo.service"});
  EXPECT_EQ(manager_.property("echo.service", "Result"), "success");
  EXPECT_THAT(manager_.processes("echo.service"), IsEmpty());
}

TEST_F(Systemd, GeneratedUnitsRunAndEveryWordArrivesAsItWasTyped) {
  const Words words{"100%", "$HOME ${HOME}", "two words", "\"quoted\" 'twice'", "back\\slash", "",
                    ";",    "line\nbreak"};
  Start generate = launcher(
      {"generate", "systemd", "app", "--files", "--listen", "tcp:127.0.0.1:4000,name=web", "--listen",
       "unix:" + file("a b"), "--env", "A=b c$d%e", "sh", "-c",
       "printf '%s|' \"$A\" \"$LISTEN_FDNAMES\" \"$@\" > " + file("said") + "; exec sleep 100", "sh"});
  generate.argv.insert(generate.argv.end(), words.begin(), words.end());
  generate.working_directory = manager_.unit_directory();
  EXPECT_EQ(run(generate).err, "");
  manager_.reload();
  manager_.must({"start", "app.service"});
  // Started means that the payload runs; what it writes comes a moment later.
  wait_until("what it says", [&] { return read_file(file("said")).find("break|") != std::string::npos; });
  std::string expected = "b c$d%e|";
  std::string said = read_file(file("said"));
  EXPECT_THAT(said, ::testing::StartsWith(expected));
  said.erase(0, expected.size());
  const std::string names = said.substr(0, said.find('|'));
  EXPECT_THAT(names, ::testing::AnyOf("web:app-2.socket", "app-2.socket:web"));
  std::string rest;
  for (const std::string& word : words) rest += word + '|';
  EXPECT_EQ(said.substr(names.size() + 1), rest);
}

}  // namespace
}  // namespace fdchain::test
