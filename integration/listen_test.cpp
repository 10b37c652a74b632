// The launcher opens the sockets itself.

#include <fcntl.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/socket/listening_socket.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/wait_until.h"

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

TEST_F(Listen, TheReportIsThereBeforeThePayloadAndNamesTheKernelsPort) {
  Start start = launcher({"--listen", "tcp:127.0.0.1:0,name=web", "--listen", "udp:[::1]:0,name=dns",
                          "--listen", "unix:" + file("s") + ",name=admin", "--listen-report", file("report"),
                          "cat", file("report")});
  const Result result = run(start);
  EXPECT_EQ(result.err, "");
  const auto sockets = boost::json::parse(result.out).at("sockets").as_array();
  ASSERT_EQ(sockets.size(), 3U);
  const std::string tcp_port = std::to_string(sockets[0].at("port").as_int64());
  const std::string udp_port = std::to_string(sockets[1].at("port").as_int64());
  EXPECT_NE(tcp_port, "0");
  EXPECT_NE(udp_port, "0");
  EXPECT_EQ(result.out,
            R"({"sockets":[{"name":"web","fd":3,"kind":"tcp","address":"tcp:127.0.0.1:)" + tcp_port +
                R"(","port":)" + tcp_port + R"(},{"name":"dns","fd":4,"kind":"udp","address":"udp:[::1]:)" +
                udp_port + R"(","port":)" + udp_port +
                R"(},{"name":"admin","fd":5,"kind":"unix","address":"unix:)" + file("s") + "\"}]}\n");
}

TEST_F(Listen, TheReportNamesWhatAnActivatorOpenedToo) {
  const Opened inherited = open_listening(parse_listen_spec("tcp:127.0.0.1:8080"));
  Start start = launcher({"--listen", "tcp:127.0.0.1:8081", "--listen-report", "fd:1", "true"});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=1"};
  start.pass = {{inherited.fd.get(), 3}};
  const Result result = run(start);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out,
            R"({"sockets":[{"name":null,"fd":3,"kind":"tcp","address":"tcp:127.0.0.1:8080","port":8080},)"
            R"({"name":null,"fd":4,"kind":"tcp","address":"tcp:127.0.0.1:8081","port":8081}]})"
            "\n");
}

TEST_F(Listen, AClientFindsTheKernelsPortInTheReport) {
  const Detached chain(launcher({"--listen", "tcp:0", "--listen-report", file("report")}));
  const auto report = boost::json::parse(read_file(file("report")));
  const std::string port = std::to_string(report.at("sockets").at(0).at("port").as_int64());
  EXPECT_EQ(report.at("sockets").at(0).at("address").as_string(), "tcp:" + port);
  EXPECT_EQ(Client("tcp:127.0.0.1:" + port).ask("hello"), "hello");
  EXPECT_EQ(Client("tcp:[::1]:" + port).ask("hello"), "hello");
  chain.end(SIGTERM);
}

TEST_F(Listen, AReportThatCannotBeWrittenEndsTheRunAndLeavesNoPath) {
  const auto expect_refusal = [&](const std::string& target, const std::string& why) {
    const Result result =
        run(launcher({"--listen", "unix:" + file("s"), "--listen-report", target, "payload", "report"}));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: --listen-report " + target + why + "\n");
    EXPECT_EQ(result.out, "");
  };
  expect_refusal("/nonexistent/report", ": No such file or directory");
  expect_refusal("/dev/null", ": there, and not a regular file");
  expect_refusal("fd:x", ": not fd:NUMBER");
  expect_refusal("fd:77", ": that descriptor is not open");
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(Listen, WhatTheKernelRefusesEndsTheRunInALine) {
  const auto expect_refusal = [&](const std::string& listen, const std::string& why) {
    const Result result = run(launcher({"--listen", listen, "payload", "report"}));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: --listen " + listen + ": " + why + "\n");
    EXPECT_EQ(result.out, "");
  };
  expect_refusal("tcp:0,bind-to-device=nodev", "interface nodev: No such device");
  expect_refusal("tcp:0,congestion=none-such", "setsockopt TCP_CONGESTION: No such file or directory");
  expect_refusal("fifo:" + file("f") + ",pipe-size=2147483647",
                 "fcntl F_SETPIPE_SZ: Operation not permitted");
  expect_refusal("unix:" + file("d/s") + ",user=nobody-of-that-name",
                 "there is no user nobody-of-that-name in /etc/passwd");
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(Listen, DirectoriesStayAndAFailedRunLeavesNone) {
  const std::string made = "unix:" + file("a/b/s") + ",dirmode=0750";
  const Result failed =
      run(launcher({"--listen", made, "--listen", "unix:" + file("c/s") + ",symlink=/dev/null", "true"}));
  EXPECT_EQ(failed.status, WaitStatus::for_exit_code(125));
  EXPECT_EQ(failed.err, "launcher: --listen unix:" + file("c/s") +
                            ",symlink=/dev/null: symlink /dev/null: File exists\n");
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  EXPECT_EQ(run(launcher({"--listen", made, "stat", "-c", "%a", file("a"), file("a/b")})).out, "750\n750\n");
  EXPECT_TRUE(std::filesystem::is_empty(file("a/b")));
}

TEST_F(Listen, WhatTakesPrivilegesIsRefusedInALine) {
  const auto as_somebody = [&](const std::string& listen) {
    Start start = launcher({"--listen", listen, "true"});
    start.argv.insert(start.argv.begin(),
                      {"setpriv", "--reuid", "4711", "--regid", "4711", "--clear-groups"});
    return run(start);
  };
  const auto expect_refusal = [&](const std::string& listen, const std::string& why) {
    const Result result = as_somebody(listen);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(125));
    EXPECT_EQ(result.err, "launcher: --listen " + listen + ": " + why + "\n");
  };
  std::ofstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") << "1024";
  expect_refusal("tcp:127.0.0.1:80", "bind: Permission denied");
  expect_refusal("unix:/etc/fdchain-test/s", "mkdir /etc/fdchain-test: Permission denied");
  expect_refusal("tcp:0,mark=1", "setsockopt SO_MARK: Operation not permitted");
  std::filesystem::permissions(directory_.path(), std::filesystem::perms::all);
  expect_refusal("unix:" + file("s") + ",user=root", "chown " + file("s") + ": Operation not permitted");
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  const Result limited = as_somebody("unix:" + file("s") + ",rcvbuf=1G");
  EXPECT_EQ(limited.status, WaitStatus::for_exit_code(0));
  EXPECT_THAT(limited.err,
              ::testing::MatchesRegex("launcher: warning: --listen unix:.*,rcvbuf=1G: rcvbuf: [0-9]+ bytes "
                                      "instead of 1073741824, the limit without CAP_NET_ADMIN\n"));
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

// Two that are started at once find the same stale socket; what the first has put there is not stale.
TEST_F(Listen, AStaleSocketIsNotTakenForTheOneThatHasReplacedIt) {
  const Start start = launcher({"--listen", "unix:" + file("s")});
  Detached before(start);
  std::filesystem::rename(file("s"), file("kept"));
  before.end(SIGTERM);
  std::filesystem::rename(file("kept"), file("s"));
  Start late = launcher({"--listen", "unix:" + file("s"), "true"});
  late.argv.insert(late.argv.begin(), {"strace", "-D", "-o", file("log"), "-e", "trace=connect", "-e",
                                       "inject=connect:signal=SIGSTOP:when=1"});
  Program second(late);
  wait_for_text(file("log"), "--- stopped by SIGSTOP ---");  // it has just asked whether somebody is there
  const Detached first(start);
  second.signal(SIGCONT);
  EXPECT_EQ(second.finish().err, "launcher: --listen unix:" + file("s") +
                                     ": bind: Address already in use, by a socket that somebody serves\n");
  EXPECT_EQ(Client("unix:" + file("s")).ask("mine"), "mine");
  first.end(SIGTERM);
}

TEST_F(Listen, AStaleSocketThatCannotBeRemovedIsNobodys) {
  Detached before(launcher({"--listen", "unix:" + file("s")}));
  std::filesystem::rename(file("s"), file("kept"));
  before.end(SIGTERM);
  std::filesystem::rename(file("kept"), file("s"));
  std::filesystem::permissions(directory_.path(), std::filesystem::perms(0755));
  Start start = launcher({"--listen", "unix:" + file("s"), "true"});
  start.argv.insert(start.argv.begin(), {"setpriv", "--reuid", "1234", "--clear-groups"});
  EXPECT_EQ(run(start).err,
            "launcher: --listen unix:" + file("s") + ": unlink " + file("s") + ": Permission denied\n");
}

}  // namespace
}  // namespace fdchain::test
