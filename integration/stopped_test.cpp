// A hop that stands still, or does not do its part, holds up neither SIGTERM nor --timeout: the launcher
// gives up on it, says which hop it was, and leaves nothing behind.

#include <sys/wait.h>

#include <csignal>
#include <filesystem>

#include "integration/harness/chain_test.h"
#include "integration/harness/notify_socket.h"
#include "integration/harness/wait_until.h"

namespace fdchain::test {
namespace {

using ::testing::MatchesRegex;

class Stopped : public ChainTest {
 protected:
  // What all of these have in common: the launcher itself has seen to it that nobody is left.
  void expect_end(Program& chain, int status, const std::string& err) {
    const Result result = chain.finish();
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(status));
    EXPECT_THAT(result.err.substr(result.err.find("launcher: ")), MatchesRegex(err));
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "all are gone when the launcher's exit can be seen";
    EXPECT_FALSE(std::filesystem::exists(file("s"))) << "the socket's path is still there";
  }

  Start chain_of(std::vector<std::string> options) {
    options.insert(options.end(), {"--pidfile", file("pid"), "--listen", "unix:" + file("s"), "sh", "-c",
                                   "echo $PPID up; exec sleep 100"});
    return launcher(options);
  }

  pid_t stop_monitor(Program& chain) {
    const pid_t monitor = std::stoi(chain.wait_for_out(" up\n"));
    wait_for_file(file("pid"));  // then the launcher has heard that the payload runs
    ::kill(monitor, SIGSTOP);
    return monitor;
  }
};

TEST_F(Stopped, MonitorDoesNotHoldUpTheTimeout) {
  Program chain(chain_of({"--timeout", "1"}));
  const std::string monitor = std::to_string(stop_monitor(chain));
  expect_end(chain, 124,
             "launcher: --timeout 1 is over, and 10 seconds later monitor \\(pid " + monitor +
                 "\\) had not ended the run; killed\n");
}

TEST_F(Stopped, MonitorDoesNotHoldUpASignal) {
  Program chain(chain_of({}));
  const std::string monitor = std::to_string(stop_monitor(chain));
  chain.signal(SIGUSR1);
  chain.signal(SIGTERM);
  expect_end(chain, 128 + SIGTERM,
             "launcher: signal 15 came, and 10 seconds later monitor \\(pid " + monitor +
                 "\\) had not read it; killed\n");
}

TEST_F(Stopped, MonitorThatReadsNoneOfManySignalsDoesNotHoldUpTheTimeout) {
  Program chain(chain_of({"--timeout", "5"}));
  const std::string monitor = std::to_string(stop_monitor(chain));
  // More than a socket holds, and of these the kernel merges none.
  for (int i = 0; i < 1000; ++i) chain.signal(SIGRTMIN);
  expect_end(chain, 124,
             "launcher: --timeout 5 is over, and 10 seconds later monitor \\(pid " + monitor +
                 "\\) had not ended the run; killed\n");
}

TEST_F(Stopped, MonitorThatGoesOnReadsEverySignal) {
  Program chain(
      launcher({"--pidfile", file("pid"), "sh", "-c",
                "trap '' 34; trap 'echo told; exit 7' USR1; echo $PPID up; while :; do sleep 0.1; done"}));
  const pid_t monitor = stop_monitor(chain);
  const auto signal_until_taken = [&](int number, int times) {
    for (int i = 0; i < times; ++i) chain.signal(number);
    wait_for_text("/proc/" + std::to_string(chain.pid()) + "/status", "\nShdPnd:\t0000000000000000\n");
  };
  signal_until_taken(SIGRTMIN, 1000);
  signal_until_taken(SIGUSR1, 1);
  ::kill(monitor, SIGCONT);
  chain.wait_for_out("told\n");
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(7));
}

TEST_F(Stopped, MonitorAtTheEndDoesNotHoldUpASignal) {
  Start start = launcher({"--listen", "unix:" + file("s"), "sh", "-c", "exit 3"});
  start.environment = {"FDCHAIN_STOP=monitor:after-exit"};
  Program chain(start);
  stopped_process(chain);
  chain.signal(SIGTERM);
  expect_end(
      chain, 128 + SIGTERM,
      "launcher: signal 15 came, and 10 seconds later monitor \\(pid [0-9]+\\) had not read it; killed\n");
}

class StoppedBefore : public Stopped, public ::testing::WithParamInterface<const char*> {};

TEST_P(StoppedBefore, ThePayloadRanItDoesNotHoldUpASignal) {
  Start start = chain_of({});
  start.environment = {std::string("FDCHAIN_STOP=") + GetParam()};
  Program chain(start);
  stopped_process(chain);
  chain.signal(SIGTERM);
  expect_end(chain, 128 + SIGTERM,
             "launcher: signal 15 came, and 10 seconds later neither monitor \\(pid [0-9]+\\) nor its "
             "runtime-shim had said that the payload runs; killed\n");
}

INSTANTIATE_TEST_SUITE_P(Payload, StoppedBefore,
                         ::testing::Values("monitor:arrival", "monitor:after-fork", "runtime-shim:arrival"),
                         [](const auto& param_info) {
                           std::string name = param_info.param;
                           for (char& character : name) {
                             if (character == ':' || character == '-') character = '_';
                           }
                           return name;
                         });

// Neither a run nor who starts one for each connection: its manager, who does not read, is no reason.
TEST_F(Stopped, ManagerDoesNotHoldUpASignal) {
  const NotifySocket manager(file("notify"));
  manager.fill();
  const std::string lost = "launcher: warning: NOTIFY_SOCKET=" + file("notify") + ": nobody reads it\n";
  Start start = chain_of({"--sdnotify=conmon"});
  start.environment = {"NOTIFY_SOCKET=" + file("notify")};
  Program chain(start);
  chain.wait_for_out(" up\n");
  chain.signal(SIGTERM);
  expect_end(chain, 128 + SIGTERM, lost);
  start = launcher({"--listen", "unix:" + file("s") + ",accept", "true"});
  start.environment = {"NOTIFY_SOCKET=" + file("notify"), "WATCHDOG_USEC=2000"};
  Program server(start);
  server.wait_for_err(lost);
  server.signal(SIGTERM);
  expect_end(server, 128 + SIGTERM, lost);
}

// It may have its reasons: who ignores SIGTERM is waited for as before.
TEST_F(Stopped, PayloadThatIgnoresASignalIsWaitedFor) {
  Program chain(launcher({"--timeout", "12", "sh", "-c", "trap '' TERM; echo up; exec sleep 100"}));
  chain.wait_for_out("up");
  chain.signal(SIGTERM);
  const Result result = chain.finish();
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(124));
  EXPECT_THAT(result.err,
              MatchesRegex("launcher: payload \\(pid [0-9]+\\) was killed: --timeout 12 is over\n"));
}

}  // namespace
}  // namespace fdchain::test
