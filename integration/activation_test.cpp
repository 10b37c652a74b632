// The installed systemd-socket-activate opens the sockets; real clients use them.

#include <algorithm>
#include <csignal>

#include "fdchain/system/proc/observe.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Activation : public ChainTest {};

struct Kind {
  std::string label;
  std::vector<std::string> arguments;  // of systemd-socket-activate
  std::string client;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.label; }

class ActivationOfKind : public ChainTest, public ::testing::WithParamInterface<Kind> {};

TEST_P(ActivationOfKind, TheFirstClientWakesTheChainAndIsAnswered) {
  Program chain = socket_activate(GetParam().arguments, {bin("launcher")});
  const Client client(GetParam().client);
  EXPECT_EQ(client.ask("hello\n"), "hello\n");
  EXPECT_EQ(client.ask("again\n"), "again\n");
  const Client second(GetParam().client);
  EXPECT_EQ(second.ask("me too\n"), "me too\n");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
}

INSTANTIATE_TEST_SUITE_P(
    All, ActivationOfKind,
    ::testing::Values(
        Kind{"tcp_port", {"-l", "8080"}, "tcp:127.0.0.1:8080"},
        Kind{"tcp4", {"-l", "127.0.0.1:8080"}, "tcp:127.0.0.1:8080"},
        Kind{"tcp6", {"-l", "[::1]:8080"}, "tcp:[::1]:8080"},
        Kind{"unix_abstract", {"-l", "@fdchain-activation"}, "unix:@fdchain-activation"},
        Kind{"udp", {"--datagram", "-l", "127.0.0.1:8080"}, "udp:127.0.0.1:8080"},
        Kind{"unix_dgram", {"--datagram", "-l", "@fdchain-dgram"}, "unix-dgram:@fdchain-dgram"},
        Kind{"seqpacket", {"--seqpacket", "-l", "@fdchain-seqpacket"}, "unix-seqpacket:@fdchain-seqpacket"}),
    [](const auto& param_info) { return param_info.param.label; });

TEST_F(Activation, AUnixPathWakesTheChainToo) {
  Program chain = socket_activate({"-l", file("s")}, {bin("launcher")});
  EXPECT_EQ(Client("unix:" + file("s")).ask("hello"), "hello");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
}

TEST_F(Activation, NamesAndOrderArriveWithTheSockets) {
  Program chain = socket_activate({"-l", "@a", "-l", "@b", "-l", "8080", "--fdname=web:admin:api"},
                                  {bin("launcher"), "payload", "report"}, 3);
  const Client knock("unix:@b");
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 3);
  EXPECT_THAT(report.names(), ElementsAre("web", "admin", "api"));
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(report.type(3), "UNIX-STREAM");
  EXPECT_EQ(report.type(5), "TCPv6");
  EXPECT_THAT(report.variables(), ElementsAre("LISTEN_FDNAMES=web:admin:api", "LISTEN_FDS=3",
                                              "LISTEN_PID=" + std::to_string(report.pid())));
}

TEST_F(Activation, WithoutFdnameThereAreNoNamesToPassOn) {
  Program chain = socket_activate({"-l", "@a"}, {bin("launcher"), "payload", "report"});
  const Client knock("unix:@a");
  const PayloadReport report(chain.finish().out);
  EXPECT_THAT(report.names(), ElementsAre("unknown"));
  EXPECT_EQ(report.variable("LISTEN_FDNAMES"), "");
}

TEST_F(Activation, EachAcceptedConnectionGetsAChainOfItsOwn) {
  Program activator = socket_activate({"--accept", "-l", "127.0.0.1:8080"}, {bin("launcher")});
  const Client one("tcp:127.0.0.1:8080");
  const Client two("tcp:127.0.0.1:8080");
  EXPECT_EQ(two.ask("two"), "two");
  EXPECT_EQ(one.ask("one"), "one");
  one.end_input();
  EXPECT_EQ(one.receive(), "") << "its payload ends with it, and closes the connection";
  two.end_input();
  EXPECT_EQ(two.receive(), "");
  activator.signal(SIGTERM);
  activator.finish();
}

TEST_F(Activation, AnInetdConnectionIsServedAsStdin) {
  Program activator = socket_activate({"--accept", "--inetd", "-l", "127.0.0.1:8080"}, {bin("launcher")});
  const Client client("tcp:127.0.0.1:8080");
  EXPECT_EQ(client.ask("hello"), "hello");
  client.end_input();
  EXPECT_EQ(client.receive(), "");
  activator.signal(SIGTERM);
  activator.finish();
}

TEST_F(Activation, AnInetdListenerIsServedAsStdin) {
  Program chain = socket_activate({"--inetd", "-l", "127.0.0.1:8080"}, {bin("launcher")});
  const Client client("tcp:127.0.0.1:8080");
  EXPECT_EQ(client.ask("hello"), "hello");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
}

TEST_F(Activation, NestedActivatorsAddTheirSockets) {
  Program chain =
      socket_activate({"-l", "@outer"}, {"systemd-socket-activate", "-l", "@inner", bin("launcher")});
  const Client wakes_the_outer("unix:@outer");
  chain.wait_for_err("@inner as 4.\n");
  EXPECT_EQ(wakes_the_outer.ask("outer"), "outer");
  EXPECT_EQ(Client("unix:@inner").ask("inner"), "inner");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
}

TEST_F(Activation, OwnSocketsFollowTheInheritedOnes) {
  Program chain = socket_activate({"-l", "@inherited", "--fdname=first"},
                                  {bin("launcher"), "--listen", "unix:@own,name=second", "--listen",
                                   "tcp:127.0.0.1:8080", "payload", "report"});
  const Client knock("unix:@inherited");
  const PayloadReport report(chain.finish().out);
  EXPECT_THAT(report.names(), ElementsAre("first", "second", "unknown"));
  EXPECT_EQ(report.type(4), "UNIX-STREAM");
  EXPECT_EQ(report.type(5), "TCP");
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4, 5));
}

// The shim stands still before it becomes the payload; meanwhile clients come.
TEST_F(Activation, ClientsThatComeBeforeThePayloadRunsAreServed) {
  Program chain = socket_activate({"-E", "FDCHAIN_STOP=runtime-shim:departure", "-l", "127.0.0.1:8080"},
                                  {bin("launcher")});
  std::vector<Client> clients;
  clients.emplace_back("tcp:127.0.0.1:8080");
  const pid_t shim = stopped_process(chain);
  for (int i = 0; i < 20; ++i) clients.emplace_back("tcp:127.0.0.1:8080");
  for (const Client& client : clients) client.send("early");
  ::kill(shim, SIGCONT);
  for (const Client& client : clients) EXPECT_EQ(client.receive(5), "early");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
}

TEST_F(Activation, SocatAndPythonAreClientsToo) {
  Program chain = socket_activate({"-l", "127.0.0.1:8080"}, {bin("launcher")});
  Start socat;
  socat.argv = {"socat", "-t5", "-", "TCP:127.0.0.1:8080"};
  socat.input = std::string(1 << 20, 'x') + "end\n";
  EXPECT_EQ(run(socat).out, socat.input);
  Start python;
  python.argv = {"python3", "-c",
                 "import socket\n"
                 "s = socket.create_connection(('127.0.0.1', 8080))\n"
                 "s.sendall(b'hello from python\\n')\n"
                 "print(s.makefile().readline(), end='')\n"};
  EXPECT_EQ(run(python).out, "hello from python\n");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
}

TEST_F(Activation, AShellThatExecsIsInvisible) {
  Program chain = socket_activate({"-l", "@a"}, {"sh", "-c", "exec " + bin("launcher")});
  const Client client("unix:@a");
  EXPECT_EQ(client.ask("hello"), "hello");
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
}

TEST_F(Activation, AShellThatForksMakesTheSocketsSomebodyElses) {
  Program chain = socket_activate({"-l", "@a"}, {"sh", "-c", bin("launcher") + "; exit $?"});
  const Client knock("unix:@a");
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_THAT(result.err, HasSubstr("launcher: warning: LISTEN_PID=" + std::to_string(chain.pid()) +
                                    ": names another process than this one, "));
  EXPECT_THAT(result.err, HasSubstr("payload: no sockets: LISTEN_FDS is not set and stdin is not a socket; "
                                    "try launcher --listen tcp:8080\n"));
}

TEST_F(Activation, NohupReachesThePayload) {
  Program chain = socket_activate(
      {"-l", "@a"}, {"nohup", bin("launcher"), "sed", "-n", "s/^SigIgn:\t//p", "/proc/self/status"});
  const Client knock("unix:@a");
  EXPECT_EQ(chain.finish().out, "0000000000000001\n");
}

}  // namespace
}  // namespace fdchain::test
