#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "fdchain/model/fd_table.h"
#include "integration/harness/client.h"
#include "integration/harness/program.h"
#include "tests/support/child.h"

namespace fdchain::test {

/// A test of the whole chain: a directory of its own, a network of its own with nothing in it but loopback,
/// and afterwards nothing left of any process it has started.
class ChainTest : public ::testing::Test {
 public:
  /// Waits, up to a deadline, until every process of this test has gone, and reaps them.
  static void expect_nobody_left();

 protected:
  ChainTest();
  void TearDown() override { expect_nobody_left(); }

  [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }

  TemporaryDirectory directory_;
};

/// For programs that are followed to their end: the leak checker cannot work under ptrace(2).
inline constexpr const char* no_leak_check = "ASAN_OPTIONS=detect_leaks=0";

/// `launcher ARGS…`
Start launcher(std::vector<std::string> arguments);

/// A chain started with --detach: when this has been made, the payload runs.
class Detached {
 public:
  explicit Detached(Start start);

  [[nodiscard]] pid_t payload() const { return payload_; }

  /// Sends the payload a signal, and waits until it and its monitor have ended.
  void end(int signal) const;

 private:
  pid_t payload_ = 0;
};

/// `systemd-socket-activate ARGS… launcher`, listening when this returns.
Program socket_activate(std::vector<std::string> arguments, std::vector<std::string> command,
                        int sockets = 1);

/// The command that names the process it becomes in LISTEN_PID, as an activator does; for sockets that a test
/// passes itself.
std::vector<std::string> as_activated(std::vector<std::string> command);

/// A pipe of the test's, close-on-exec.
struct Pipe {
  Pipe();
  OwnedFd read_end;
  OwnedFd write_end;
};

/// What `payload report` printed.
class PayloadReport {
 public:
  explicit PayloadReport(const std::string& text);

  [[nodiscard]] int pid() const;
  [[nodiscard]] int adopted() const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::string variable(const std::string& name) const;  ///< empty when it is not set
  [[nodiscard]] std::vector<std::string> variables() const;           ///< NAME=VALUE, sorted
  [[nodiscard]] std::vector<int> numbers() const;

  struct Identity {
    std::uint64_t device;
    std::uint64_t inode;
    std::uint64_t cookie;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  [[nodiscard]] Identity identity(int number) const;
  [[nodiscard]] std::string type(int number) const;

 private:
  [[nodiscard]] const boost::json::object& row(int number) const;
  boost::json::object report_;
};

/// The identity of a descriptor of this process.
PayloadReport::Identity identity_of(const FdRow& row);

/// The pid of the process that FDCHAIN_STOP has stopped in this chain; it has announced it, and stands still.
pid_t stopped_process(Program& chain);

}  // namespace fdchain::test
