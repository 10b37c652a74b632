// A caller's terminal in the OCI dialect: its bytes are carried, and it holds up nobody.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>

#include "fdchain/system/fd/sys.h"
#include "integration/harness/chain_test.h"
#include "integration/harness/wait_until.h"
#include "integration/real/monitored.h"

namespace fdchain::test {
namespace {

class RelayedTerminal : public ChainTest, public ::testing::WithParamInterface<const char*> {
 protected:
  RelayedTerminal() {
    check(::grantpt(master_.get()), "grantpt");
    check(::unlockpt(master_.get()), "unlockpt");
    std::array<char, 100> name{};
    check(-::ptsname_r(master_.get(), name.data(), name.size()), "ptsname_r");
    terminal_ = OwnedFd(check(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC), "open", name.data()));
    termios plain{};
    check(::tcgetattr(terminal_.get(), &plain), "tcgetattr");
    ::cfmakeraw(&plain);
    check(::tcsetattr(terminal_.get(), TCSANOW, &plain), "tcsetattr");
  }

  /// `launcher`, with the terminal as stdio, for a container that runs `script`.
  Start on_terminal(const std::string& script) {
    const std::string monitor = GetParam();
    Start start;
    start.argv = {"sh",
                  "-c",
                  "exec \"$@\" <&9 >&9 2>&9 9>&-",
                  "sh",
                  bin("launcher"),
                  "--dialect",
                  "oci",
                  "--monitor",
                  monitor.starts_with('/') ? monitor : bin(monitor),
                  "--pidfile",
                  file("pid"),
                  "sh",
                  "-c",
                  script};
    start.pass = {{terminal_.get(), 9}};
    return start;
  }

  /// What has been written to the terminal up to and with `end`.
  std::string read_up_to(const std::string& end) {
    std::string text;
    std::array<char, 4096> buffer{};
    while (text.find(end) == std::string::npos) {
      const ssize_t got = check(::read(master_.get(), buffer.data(), buffer.size()), "read");
      text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
  }

  OwnedFd master_{check(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "posix_openpt")};
  OwnedFd terminal_;
};

TEST_P(RelayedTerminal, ThatIsStoppedHoldsUpNoSignal) {
  check(::tcflow(terminal_.get(), TCOOFF), "tcflow");
  Program chain(on_terminal("yes"));
  wait_for_file(file("pid"));
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(128 + SIGTERM));
}

TEST_P(RelayedTerminal, ThatIsStoppedHoldsUpTheEndUntilASignalComes) {
  check(::tcflow(terminal_.get(), TCOOFF), "tcflow");
  Program chain(on_terminal("echo said; exit 3"));
  const std::string launcher_pid = std::to_string(chain.pid());
  wait_until("the container's end", [&] {
    return read_file("/proc/" + launcher_pid + "/task/" + launcher_pid + "/children").empty() &&
           std::filesystem::exists(file("pid"));
  });
  chain.signal(SIGTERM);
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(3));
}

TEST_P(RelayedTerminal, GetsAllOfItAndGivesWhatIsTyped) {
  Program chain(on_terminal("read line; echo got $line; seq 20000; echo the end; exit 3"));
  check(::write(master_.get(), "words\n", 6), "write");
  std::string expected = "got words\n";
  for (int number = 1; number <= 20000; ++number) expected += std::to_string(number) + '\n';
  EXPECT_EQ(read_up_to("the end\n"), expected + "the end\n");
  EXPECT_EQ(chain.finish().status, WaitStatus::for_exit_code(3));
}

INSTANTIATE_TEST_SUITE_P(Of, RelayedTerminal, ::testing::Values(real_conmon, "monitor"),
                         [](const auto& param_info) {
                           return std::string(param_info.param).starts_with('/') ? "conmon" : "monitor";
                         });

}  // namespace
}  // namespace fdchain::test
