// The echo service: idle, once, large messages, many clients, and manners towards shared descriptors.

#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>

#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

using ::testing::HasSubstr;

class EchoService : public ChainTest {};

TEST_F(EchoService, EndsAfterItsFirstClientWithOnce) {
  const Detached chain(launcher(
      {"--listen", "unix:@a", "--exit-file", file("exit"), "payload", "echo", "--once", "--exit-code", "9"}));
  {
    const Client client("unix:@a");
    EXPECT_EQ(client.ask("hello"), "hello");
  }
  expect_nobody_left();
  EXPECT_EQ(read_file(file("exit")), "9");
}

TEST_F(EchoService, EndsWhenNobodyHasComeForTheIdleTime) {
  EXPECT_EQ(run(launcher({"--listen", "unix:@a", "payload", "--idle-timeout", "1"})).status,
            WaitStatus::for_exit_code(0));
}

TEST_F(EchoService, AConnectedClientKeepsItBusy) {
  const Detached chain(launcher({"--listen", "unix:@a", "payload", "--idle-timeout", "1"}));
  const Client client("unix:@a");
  const Client other("unix:@a");
  EXPECT_EQ(client.ask("hello"), "hello");
  // The idle time of a service that counted only what is said would be over before this one's.
  EXPECT_EQ(run(launcher({"--listen", "unix:@b", "payload", "--idle-timeout", "2"})).status,
            WaitStatus::for_exit_code(0));
  EXPECT_EQ(client.ask("still here"), "still here");
}

TEST_F(EchoService, ServesTwoHundredClientsAtOnceInOrderAndComplete) {
  const Detached chain(launcher({"--listen", "tcp:8080", "--listen", "unix:@s", "--listen",
                                 "unix-seqpacket:@p", "--listen", "udp:8080", "--listen", "unix-dgram:@d"}));
  for (const std::string address :
       {"tcp:127.0.0.1:8080", "unix:@s", "unix-seqpacket:@p", "udp:127.0.0.1:8080", "unix-dgram:@d"}) {
    std::vector<Client> clients;
    for (int i = 0; i < 200; ++i) clients.emplace_back(address);
    for (int round = 0; round < 3; ++round) {
      for (std::size_t i = 0; i < clients.size(); ++i) {
        const std::string text = "client " + std::to_string(i) + " round " + std::to_string(round);
        ASSERT_EQ(clients[i].ask(text), text) << address;
      }
    }
  }
  chain.end(SIGTERM);
}

TEST_F(EchoService, KeepsLargeMessagesWhole) {
  const Detached chain(
      launcher({"--listen", "unix-seqpacket:@p", "--listen", "udp:8080", "--listen", "unix-dgram:@d"}));
  const std::string large(60'000, 'x');
  EXPECT_EQ(Client("udp:127.0.0.1:8080").ask(large), large);
  const std::string larger(150'000, 'y');
  for (const std::string address : {"unix-seqpacket:@p", "unix-dgram:@d"}) {
    const Client client(address);
    client.send(larger);
    EXPECT_EQ(client.receive(), larger) << address;
  }
  chain.end(SIGTERM);
}

TEST_F(EchoService, LeavesTheSharedSocketsFlagsAlone) {
  const Detached chain(launcher({"--listen", "unix:@a"}));
  EXPECT_EQ(Client("unix:@a").ask("hello"), "hello");
  const std::string info = read_file("/proc/" + std::to_string(chain.payload()) + "/fdinfo/3");
  EXPECT_THAT(info, HasSubstr("flags:\t02000002\n"))
      << "O_RDWR|O_CLOEXEC, and not O_NONBLOCK, which every holder would share";
  chain.end(SIGTERM);
}

TEST_F(EchoService, SaysWhatItCannotServe) {
  Program chain(launcher({"--listen", "unix:@a", "--listen", "netlink:route", "payload"}));
  EXPECT_THAT(chain.wait_for_err("does not serve this kind\n"),
              HasSubstr("payload: warning: descriptor 4 (unknown, NETLINK "));
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(0));
}

TEST_F(EchoService, GivesUpASocketThatIsShutDownForAll) {
  const OwnedFd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const sockaddr_un address{AF_UNIX, "\0shut"};
  check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  check(::listen(socket.get(), 1), "listen");
  Start start = launcher({});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=1"};
  start.pass = {{socket.get(), 3}};
  Program chain(start);
  check(::shutdown(socket.get(), SHUT_RDWR), "shutdown");
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(result.err, "payload: warning: descriptor 3 does not listen any more; it is served no longer\n");
}

TEST_F(EchoService, WithoutSocketsItSaysSo) {
  const Result result = run(launcher({}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_EQ(result.err,
            "payload: no sockets: LISTEN_FDS is not set and stdin is not a socket; try launcher --listen "
            "tcp:8080\n");
}

}  // namespace
}  // namespace fdchain::test
