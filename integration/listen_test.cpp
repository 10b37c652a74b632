// The launcher opens the sockets itself.

#include <fcntl.h>

#include <csignal>
#include <filesystem>

#include "fdchain/system/files.h"
#include "fdchain/system/sys.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;

class Listen : public ChainTest {};

TEST_F(Listen, EveryKindMixedInOneCommandArrivesUnderItsName) {
  const Result result = run(launcher({"--listen", "tcp:127.0.0.1:8080,name=tcp",
                                      "--listen", "udp:[::1]:8080,name=udp",
                                      "--listen", "unix:" + file("stream") + ",name=stream",
                                      "--listen", "unix-dgram:@d,name=dgram",
                                      "--listen", "unix-seqpacket:" + file("packet") + ",name=packet",
                                      "--listen", "fifo:" + file("fifo") + ",name=fifo",
                                      "--listen", "netlink:kobject-uevent 1,name=netlink",
                                      "--listen", "mqueue:/fdchain-listen,name=queue",
                                      "--listen", "special:/dev/zero,name=special",
                                      "payload",  "report"}));
  EXPECT_EQ(result.err, "");
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 9);
  EXPECT_THAT(report.names(),
              ElementsAre("tcp", "udp", "stream", "dgram", "packet", "fifo", "netlink", "queue", "special"));
  std::vector<std::string> types;
  for (int number = 3; number < 12; ++number) types.push_back(report.type(number));
  EXPECT_THAT(types, ElementsAre("TCP", "UDPv6", "UNIX-STREAM", "UNIX-DGRAM", "UNIX-SEQPACKET", "FIFO",
                                 "NETLINK", "REG", "CHR"));
  EXPECT_THAT(report.numbers(), ::testing::SizeIs(12));
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path())) << "the paths went with the run";
}

TEST_F(Listen, SetsLISTEN_PIDFDIDAsAnActivatorDoes) {
  const PayloadReport report(run(launcher({"--listen", "unix:@a", "payload", "report"})).out);
  EXPECT_EQ(report.adopted(), 1);
  EXPECT_NE(report.variable("LISTEN_PIDFDID"), "");
}

TEST_F(Listen, ThePayloadServesThemAllAtOnce) {
  const Detached chain(
      launcher({"--listen", "tcp:8080", "--listen", "udp:8080", "--listen", "unix:" + file("s"), "--listen",
                "unix-dgram:@d", "--listen", "unix-seqpacket:@p", "--listen", "fifo:" + file("fifo"), "--log",
                "k8s-file:" + file("log")}));
  const OwnedFd fifo(check(::open(file("fifo").c_str(), O_WRONLY | O_CLOEXEC), "open"));
  write_all(fifo.get(), "through the fifo\n", "fifo");
  for (const std::string address : {"tcp:127.0.0.1:8080", "tcp:[::1]:8080", "udp:127.0.0.1:8080",
                                    "udp:[::1]:8080", "unix-dgram:@d", "unix-seqpacket:@p"}) {
    EXPECT_EQ(Client(address).ask("hello " + address), "hello " + address);
  }
  EXPECT_EQ(Client("unix:" + file("s")).ask("hello"), "hello");
  chain.end(SIGTERM);
  EXPECT_THAT(read_file(file("log")), ::testing::EndsWith(" stdout F through the fifo\n"));
  std::filesystem::remove(file("log"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path())) << "the paths went with the run";
}

TEST_F(Listen, VsockArrives) {
  const Result result = run(launcher({"--listen", "vsock::40123", "payload", "report"}));
  if (result.err.find("Address family not supported") != std::string::npos)
    GTEST_SKIP() << "this kernel has no vsock";
  EXPECT_EQ(PayloadReport(result.out).type(3), "VSOCK-STREAM");
}

TEST_F(Listen, AStaleSocketIsReplacedAndAServedOneIsNot) {
  const Start start = launcher({"--listen", "unix:" + file("s")});
  Detached first(start);
  const Client client("unix:" + file("s"));
  EXPECT_EQ(client.ask("mine"), "mine");
  const Result second = run(start);
  EXPECT_EQ(second.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(second.err, "launcher: --listen unix:" + file("s") +
                            ": bind: Address already in use, by a socket that somebody serves\n");
  EXPECT_EQ(client.ask("still mine"), "still mine");
  // Whoever ends without cleaning up leaves the path; the next one takes it over.
  std::filesystem::rename(file("s"), file("kept"));
  first.end(SIGTERM);
  std::filesystem::rename(file("kept"), file("s"));
  const Detached third(start);
  EXPECT_EQ(Client("unix:" + file("s")).ask("mine now"), "mine now");
  third.end(SIGTERM);
}

}  // namespace
}  // namespace fdchain::test
