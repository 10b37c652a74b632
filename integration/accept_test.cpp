// --listen …,accept: a run for each connection, as systemd has it for Accept=yes.
//
// A server that closes first leaves its port in TIME_WAIT: these ports are of no other test.

#include <csignal>
#include <filesystem>
#include <fstream>

#include "integration/harness/chain_test.h"
#include "integration/harness/wait_until.h"

namespace fdchain::test {
namespace {

using ::testing::HasSubstr;

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
  const Result dry = run(launcher({"dry-run", "--listen", "tcp:0,accept"}));
  EXPECT_EQ(dry.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(dry.err, "launcher: dry-run with accept: each connection has a plan of its own\n");
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

}  // namespace
}  // namespace fdchain::test
