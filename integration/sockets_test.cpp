// What arrives at the payload is exactly what was announced: the same objects at the same numbers, and
// nothing else.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <numeric>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;

OwnedFd listening_socket() {
  OwnedFd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const sockaddr unnamed{AF_UNIX, {}};
  check(::bind(socket.get(), &unnamed, sizeof unnamed.sa_family), "bind");
  check(::listen(socket.get(), 8), "listen");
  return socket;
}

std::vector<OwnedFd> listening_sockets(int count) {
  std::vector<OwnedFd> sockets;
  for (int i = 0; i < count; ++i) sockets.push_back(listening_socket());
  return sockets;
}

// The launcher, activated with these sockets from 3 on.
Start activated(const std::vector<OwnedFd>& sockets, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), bin("launcher"));
  Start start;
  start.argv = as_activated(arguments);
  if (!sockets.empty()) start.environment = {"LISTEN_FDS=" + std::to_string(sockets.size())};
  for (std::size_t i = 0; i < sockets.size(); ++i)
    start.pass.emplace_back(sockets[i].get(), 3 + static_cast<int>(i));
  return start;
}

std::vector<int> numbers_up_to(int end) {
  std::vector<int> numbers(static_cast<std::size_t>(end));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

class ManySockets : public ChainTest, public ::testing::WithParamInterface<int> {};

TEST_P(ManySockets, ArriveAsTheVeryObjectsInTheirOrder) {
  const int count = GetParam();
  const auto sockets = listening_sockets(count);
  const Result result = run(activated(sockets, {"payload", "report"}));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  EXPECT_EQ(result.err, "");
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), count);
  EXPECT_EQ(report.numbers(), numbers_up_to(3 + count));
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(report.identity(3 + i), identity_of(*observe_fd(sockets[static_cast<std::size_t>(i)].get())));
  }
  EXPECT_THAT(report.variables(), ElementsAre("LISTEN_FDS=" + std::to_string(count),
                                              "LISTEN_PID=" + std::to_string(report.pid())));
}

INSTANTIATE_TEST_SUITE_P(All, ManySockets, ::testing::Values(1, 2, 100, 1000),
                         ::testing::PrintToStringParamName());

class Strays : public ChainTest {};

TEST_F(Strays, OfTheCallerReachNobody) {
  const auto sockets = listening_sockets(2);
  const OwnedFd stray(check(::eventfd(0, EFD_CLOEXEC), "eventfd"));
  Start start = activated(sockets, {"payload", "report"});
  for (const int number : {5, 6, 7, 10, 100, 1000}) start.pass.emplace_back(stray.get(), number);
  const PayloadReport report(run(start).out);
  EXPECT_EQ(report.adopted(), 2);
  EXPECT_EQ(report.numbers(), numbers_up_to(5));
}

TEST_F(Strays, WithoutSocketsNothingIsPassed) {
  const OwnedFd stray(check(::eventfd(0, EFD_CLOEXEC), "eventfd"));
  Start start = launcher({"payload", "report"});
  for (const int number : {3, 4, 9}) start.pass.emplace_back(stray.get(), number);
  const PayloadReport report(run(start).out);
  EXPECT_EQ(report.adopted(), 0);
  EXPECT_EQ(report.numbers(), numbers_up_to(3));
  EXPECT_THAT(report.variables(), ElementsAre());
}

TEST_F(Strays, SocketsForAnotherProcessArePassedToNobody) {
  const auto sockets = listening_sockets(1);
  Start start = activated(sockets, {"payload", "report"});
  start.argv = {bin("launcher"), "payload", "report"};
  start.environment.emplace_back("LISTEN_PID=1");
  const Result result = run(start);
  EXPECT_THAT(result.err, ::testing::StartsWith(
                              "launcher: warning: LISTEN_PID=1: names another process than this one, "));
  EXPECT_EQ(PayloadReport(result.out).numbers(), numbers_up_to(3));
}

class Preserved : public ChainTest {};

TEST_F(Preserved, DescriptorsFollowTheWindowAlsoWhenOwnSocketsComeBetween) {
  const auto sockets = listening_sockets(1);
  const OwnedFd one(check(::eventfd(1, EFD_CLOEXEC), "eventfd"));
  const OwnedFd two(check(::eventfd(2, EFD_CLOEXEC), "eventfd"));
  Start start = activated(
      sockets, {"--preserve-fds", "2", "--listen", "unix:@a", "--listen", "unix:@b", "payload", "report"});
  start.pass = {{sockets[0].get(), 3}, {one.get(), 4}, {two.get(), 5}, {two.get(), 6}};
  const Result result = run(start);
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 3);
  EXPECT_EQ(report.numbers(), numbers_up_to(8));
  EXPECT_EQ(report.identity(3), identity_of(*observe_fd(sockets[0].get())));
  EXPECT_EQ(report.type(5), "UNIX-STREAM");
  EXPECT_EQ(report.type(6), "eventfd");
  EXPECT_EQ(report.type(7), "eventfd");
}

class Identity : public ChainTest {};

TEST_F(Identity, LISTEN_PIDFDIDIsRewrittenAtEachHopWhereItCame) {
  const auto sockets = listening_sockets(1);
  Start start = activated(sockets, {"payload", "report"});
  // The pidfd's inode of the process that becomes the launcher, as systemd 259 sets it.
  start.argv = {"python3",
                "-c",
                "import os, sys\n"
                "os.environ['LISTEN_PID'] = str(os.getpid())\n"
                "fd = os.pidfd_open(os.getpid())\n"
                "os.environ['LISTEN_PIDFDID'] = str(os.fstat(fd).st_ino)\n"
                "os.set_inheritable(3, True)\n"
                "os.execv(sys.argv[1], sys.argv[1:])\n",
                bin("launcher"),
                "payload",
                "report"};
  const Result result = run(start);
  EXPECT_EQ(result.err, "");
  const PayloadReport report(result.out);
  EXPECT_EQ(report.adopted(), 1);
  EXPECT_NE(report.variable("LISTEN_PIDFDID"), "");
}

TEST_F(Identity, LISTEN_PIDFDIDOfAnotherProcessMakesTheSocketsItsOwn) {
  const auto sockets = listening_sockets(1);
  Start start = activated(sockets, {"payload", "report"});
  start.environment.emplace_back("LISTEN_PIDFDID=1");
  const Result result = run(start);
  EXPECT_THAT(result.err, ::testing::HasSubstr("LISTEN_PIDFDID=1: names another process than this one, "));
  EXPECT_EQ(PayloadReport(result.out).adopted(), 0);
}

class ClosedStdio : public ChainTest, public ::testing::WithParamInterface<int> {};

TEST_P(ClosedStdio, IsDevNullAtThePayloadAndNoSocketLandsThere) {
  const auto sockets = listening_sockets(1);
  Start start = activated(sockets, {"--listen", "unix:@own", "sh", "-c",
                                    "readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 > " + file("fds")});
  for (int number = 0; number < 3; ++number) {
    if ((GetParam() & (1 << number)) != 0) start.closed.push_back(number);
  }
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(0));
  const std::string text = read_file(file("fds"));
  EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("socket:")));
}

INSTANTIATE_TEST_SUITE_P(All, ClosedStdio, ::testing::Range(1, 8), ::testing::PrintToStringParamName());

}  // namespace
}  // namespace fdchain::test
