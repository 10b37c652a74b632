// --listen …,accept: a run for each connection, as systemd has it for Accept=yes.
//
// A server that closes first leaves its port in TIME_WAIT: these ports are of no other test.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/notify_socket.h"
#include "integration/harness/wait_until.h"

namespace fdchain::test {
namespace {

using ::testing::HasSubstr;

/// A path, asked with a datagram socket, of which whoever is there never hears.
class Address {
 public:
  explicit Address(const std::string& path) { path.copy(address_.sun_path, sizeof address_.sun_path - 1); }

  /// The errno of connecting to it; 0 when it is a datagram socket.
  [[nodiscard]] int ask() const {
    const OwnedFd probe(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
    const auto* const address = reinterpret_cast<const sockaddr*>(&address_);
    return ::connect(probe.get(), address, sizeof address_) < 0 ? errno : 0;
  }

 private:
  sockaddr_un address_{AF_UNIX, {}};
};

class Accept : public ChainTest {
 protected:
  // Listening when this returns.
  Program serve(const std::string& listen, std::vector<std::string> payload) {
    std::vector<std::string> words{"--listen", listen, "--listen-report", file("report")};
    words.insert(words.end(), payload.begin(), payload.end());
    Program chain(launcher(words));
    wait_for_file(file("report"));
    return chain;
  }
};

const std::vector<std::string> say_what_came{
    "sh", "-c",
    "echo \"$LISTEN_FDS $LISTEN_FDNAMES $((LISTEN_PID == $$)) $REMOTE_ADDR ${REMOTE_PORT:+port}\" >&3; "
    "ls /proc/self/fd | tr '\\n' ' ' >&3"};

TEST_F(Accept, TheConnectionIsTheOnlySocketAndHasSystemdsName) {
  Program chain = serve("tcp:8090,accept", say_what_came);
  // ls holds the directory that it reads.
  EXPECT_EQ(Client("tcp:127.0.0.1:8090").receive(47), "1 connection 1 127.0.0.1 port\n0 1 2 3 4 ");
  EXPECT_EQ(Client("tcp:[::1]:8090").receive(42), "1 connection 1 ::1 port\n0 1 2 3 4 ");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(128 + SIGTERM));
}

TEST_F(Accept, AUnixConnectionHasNoRemoteAddress) {
  Program chain = serve("unix:" + file("s") + ",accept", say_what_came);
  EXPECT_EQ(Client("unix:" + file("s")).receive(35), "1 connection 1  \n0 1 2 3 4 ");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(128 + SIGTERM));
  EXPECT_FALSE(std::filesystem::exists(file("s")));
}

TEST_F(Accept, ConnectionsAreServedSideBySideAndASignalEndsThemAll) {
  Program chain = serve("tcp:127.0.0.1:8090,accept", {"payload"});
  const Client first("tcp:127.0.0.1:8090");
  const Client second("tcp:127.0.0.1:8090");
  EXPECT_EQ(first.ask("one"), "one");
  EXPECT_EQ(second.ask("two"), "two");
  EXPECT_EQ(first.ask("three"), "three");
  chain.signal(SIGINT);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(128 + SIGINT));
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(first.receive(), "");
  EXPECT_EQ(second.receive(), "");
}

TEST_F(Accept, WhatIsBeyondTheLimitIsClosedUntilOneHasEnded) {
  Program chain = serve("unix:" + file("s") + ",accept,max-connections=1",
                        {"sh", "-c", "echo welcome >&3; read line <&3"});
  const auto greeting = [&] { return Client("unix:" + file("s")).receive(); };
  {
    const Client client("unix:" + file("s"));
    EXPECT_EQ(client.receive(), "welcome\n");
    EXPECT_EQ(greeting(), "");
    EXPECT_EQ(greeting(), "");
    client.send("that is all\n");
    EXPECT_EQ(client.receive(), "");
  }
  wait_until("the place of the one that has ended", [&] { return greeting() == "welcome\n"; });
  chain.signal(SIGTERM);
  EXPECT_THAT(chain.finish().err,
              ::testing::StartsWith("launcher: warning: max-connections=1 are served; others are closed\n"));
}

TEST_F(Accept, ARunThatFailsIsToldOfAndTheNextOneServed) {
  Program chain = serve("unix:" + file("s") + ",accept", {"sh", "-c", "read status <&3; exit $status"});
  Client("unix:" + file("s")).send("7\n");
  EXPECT_EQ(chain.rest_of_err_line("launcher: warning: a connection: "), "its run exited with status 7");
  Client("unix:" + file("s")).send("8\n");
  EXPECT_EQ(chain.rest_of_err_line("launcher: warning: a connection: its run exited with status 7\n"
                                   "launcher: warning: a connection: "),
            "its run exited with status 8");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(128 + SIGTERM));
}

TEST_F(Accept, AKilledLauncherTakesItsRunsWithIt) {
  Program chain = serve("tcp:127.0.0.1:8090,accept", {"payload"});
  const Client client("tcp:127.0.0.1:8090");
  EXPECT_EQ(client.ask("hello"), "hello");
  chain.signal(SIGKILL);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_signal(SIGKILL));
  EXPECT_EQ(client.receive(), "");
}

TEST_F(Accept, TheLimitIsOneForEachSocket) {
  Program chain(launcher({"--listen", "unix:" + file("a") + ",accept,max-connections=1", "--listen",
                          "unix:" + file("b") + ",accept,max-connections=2", "--listen-report",
                          file("report"), "sh", "-c", "echo welcome >&3; read line <&3"}));
  wait_for_file(file("report"));
  const Client one("unix:" + file("a"));
  EXPECT_EQ(one.receive(), "welcome\n");
  EXPECT_EQ(Client("unix:" + file("a")).receive(), "");
  const Client two("unix:" + file("b"));
  const Client three("unix:" + file("b"));
  EXPECT_EQ(two.receive(), "welcome\n");
  EXPECT_EQ(three.receive(), "welcome\n");
  EXPECT_EQ(Client("unix:" + file("b")).receive(), "");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().err,
            "launcher: warning: max-connections=1 are served; others are closed\n"
            "launcher: warning: max-connections=2 are served; others are closed\n");
}

// As systemd does it: not all of them come with a connection by themselves.
TEST_F(Accept, TheConnectionHasTheOptionsOfItsSocket) {
  const std::string ask =
      "import socket as s; c = s.socket(fileno=3); get = lambda what: c.getsockopt(s.SOL_SOCKET, what)\n"
      "c.sendall(f'{get(s.SO_PRIORITY)} {get(s.SO_SNDBUF)} {get(s.SO_RCVBUF)} "
      "{get(s.SO_PASSCRED)}\\n'.encode())";
  Program chain =
      serve("unix:" + file("s") + ",accept,priority=3,sndbuf=8K,rcvbuf=16K,passcred", {"python3", "-c", ask});
  EXPECT_EQ(Client("unix:" + file("s")).receive(), "3 16384 32768 1\n");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(128 + SIGTERM));
}

// The kernel sends it to the session's leader, and to nobody else.
TEST_F(Accept, AHangUpOfTheTerminalGoesToTheRuns) {
  OwnedFd terminal(check(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "posix_openpt"));
  check(::unlockpt(terminal.get()), "unlockpt");
  const OwnedFd side(
      check(::ioctl(terminal.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), "TIOCGPTPEER"));
  Start start =
      launcher({"--listen", "unix:" + file("s") + ",accept", "--listen-report", file("report"), "payload"});
  start.argv.insert(start.argv.begin(), {"setsid", "--ctty"});
  start.pass = {{side.get(), 0}};
  Program chain(start);
  wait_for_file(file("report"));
  const Client client("unix:" + file("s"));
  EXPECT_EQ(client.ask("hello"), "hello");
  terminal.close();
  EXPECT_EQ(client.receive(), "");
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(128 + SIGHUP));
}

// By whoever got hold of it: here as a debugger would.
TEST_F(Accept, ASocketThatSomebodyHasShutDownIsServedNoLonger) {
  Program chain = serve("unix:" + file("s") + ",accept", {"true"});
  const OwnedFd pidfd(open_pidfd(chain.pid()));
  for (int number = 3; number < 20; ++number) {
    const OwnedFd theirs(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
    int listens = 0;
    socklen_t size = sizeof listens;
    if (theirs && ::getsockopt(theirs.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0)
      ::shutdown(theirs.get(), SHUT_RDWR);
  }
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(result.err, "launcher: warning: --listen unix:" + file("s") +
                            ",accept does not listen any more; it is served no longer\n"
                            "launcher: no socket listens any more, and every run has ended\n");
}

// A path that nobody listens on is another launcher's to take, and a moment later it is no more this one's to
// remove.
TEST_F(Accept, SomebodyListensAsLongAsThePathIsThere) {
  Start start =
      launcher({"--listen", "unix:" + file("s") + ",accept", "--listen-report", file("report"), "true"});
  start.argv.insert(start.argv.begin(), {"strace", "-D", "-o", "/dev/null", "-e", "trace=unlink", "-e",
                                         "inject=unlink:delay_enter=200000"});
  Program chain(start);
  wait_for_file(file("report"));
  const Address address(file("s"));
  chain.signal(SIGTERM);
  int said = EPROTOTYPE;  // of a socket of another type that is served
  wait_until("the end of the path", [&] { return (said = address.ask()) != EPROTOTYPE; });
  EXPECT_EQ(said, ENOENT) << std::strerror(said);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(128 + SIGTERM));
}

// systemd waits for the process that it has started.
TEST_F(Accept, TheWatchdogIsFedByWhoeverListens) {
  const NotifySocket manager(file("notify"));
  Start start = launcher({"--sdnotify=conmon", "--listen", "unix:" + file("s") + ",accept", "--listen-report",
                          file("report"), "sh", "-c",
                          "echo \"${WATCHDOG_USEC-no} ${WATCHDOG_PID-no} $((SYSTEMD_EXEC_PID == $$))\" >&3"});
  start.argv.insert(start.argv.begin(),
                    {"sh", "-c", "export WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$; exec \"$@\"", "sh"});
  start.environment = {"WATCHDOG_USEC=200000", "NOTIFY_SOCKET=" + file("notify")};
  Program chain(start);
  EXPECT_EQ(manager.receive(), "READY=1");
  EXPECT_EQ(manager.receive(), "WATCHDOG=1");
  EXPECT_EQ(Client("unix:" + file("s")).receive(), "no no 1\n");
  EXPECT_EQ(manager.receive(), "WATCHDOG=1");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(128 + SIGTERM));
}

TEST_F(Accept, WhatOnlyASingleRunCanHaveIsRefused) {
  const auto expect_refusal = [&](std::vector<std::string> more, const std::string& why) {
    std::vector<std::string> words{"--listen", "unix:" + file("s") + ",accept"};
    words.insert(words.end(), more.begin(), more.end());
    const Result result = run(launcher(words));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: --listen unix:" + file("s") +
                              ",accept: accept makes a run for each connection; " + why + "\n");
  };
  expect_refusal({"--listen", "tcp:0"}, "every other socket needs it too");
  expect_refusal({"--detach"}, "there is none to --detach from");
  expect_refusal({"--pidfile", file("p")}, "--pidfile has room for one");
  expect_refusal({"--exit-file", file("e")}, "--exit-file has room for one");
  expect_refusal({"--report", "text:" + file("r")}, "--report text:FILE has room for one");
  expect_refusal({"--report", "text:fd:9"}, "--report text:fd:N has room for one");
  expect_refusal({"--save-baseline", file("b")}, "--save-baseline has room for one");
  const Result dry = run(launcher({"dry-run", "--listen", "tcp:0,accept"}));
  EXPECT_EQ(dry.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(dry.err, "launcher: dry-run with accept: each connection has a plan of its own\n");
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

}  // namespace
}  // namespace fdchain::test
