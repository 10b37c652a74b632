#include "integration/harness/chain_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/processes.h"
#include "integration/harness/network.h"
#include "integration/harness/wait_until.h"

namespace fdchain::test {
namespace {

std::string command_line(pid_t pid) {
  std::string text = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  std::ranges::replace(text, '\0', ' ');
  return text;
}

}  // namespace

ChainTest::ChainTest() { enter_private_network(); }

void ChainTest::expect_nobody_left() {
  // A signal handler that does nothing would do; blocked and waited for, SIGCHLD is an event with a deadline.
  sigset_t child_signal;
  ::sigemptyset(&child_signal);
  ::sigaddset(&child_signal, SIGCHLD);
  sigset_t before;
  ::sigprocmask(SIG_BLOCK, &child_signal, &before);
  while (true) {
    const pid_t reaped = ::waitpid(-1, nullptr, WNOHANG);
    if (reaped < 0) break;
    if (reaped > 0) continue;
    const timespec patience{10, 0};
    if (::sigtimedwait(&child_signal, nullptr, &patience) >= 0) continue;
    for (const pid_t pid : children_of_this_process())
      ADD_FAILURE() << "left: " << pid << ' ' << command_line(pid);
    end_all_children();
    break;
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

Start launcher(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), bin("launcher"));
  Start start;
  start.argv = std::move(arguments);
  return start;
}

Detached::Detached(Start start) {
  start.argv.insert(start.argv.begin() + 1, "--detach");
  const Result result = run(start);
  if (result.status != WaitStatus::for_exit_code(0))
    throw std::runtime_error("launcher --detach: " + result.err);
  payload_ = std::stoi(result.out);
}

void Detached::end(int signal) const {
  check(::kill(payload_, signal), "kill");
  ChainTest::expect_nobody_left();
}

Program socket_activate(std::vector<std::string> arguments, std::vector<std::string> command, int sockets) {
  Start start;
  start.argv = std::move(arguments);
  start.argv.insert(start.argv.begin(), "systemd-socket-activate");
  start.argv.insert(start.argv.end(), command.begin(), command.end());
  Program program(start);
  program.wait_for_err(" as " + std::to_string(2 + sockets) + ".\n");
  return program;
}

Pipe::Pipe() {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  read_end = OwnedFd(ends[0]);
  write_end = OwnedFd(ends[1]);
}

std::vector<std::string> as_activated(std::vector<std::string> command) {
  command.insert(command.begin(), {"sh", "-c", "export LISTEN_PID=$$; exec \"$@\"", "sh"});
  return command;
}

PayloadReport::PayloadReport(const std::string& text) : report_(boost::json::parse(text).as_object()) {}

int PayloadReport::pid() const { return report_.at("pid").to_number<int>(); }
int PayloadReport::adopted() const { return report_.at("adopted").to_number<int>(); }

std::vector<std::string> PayloadReport::names() const {
  std::vector<std::string> names;
  for (const auto& name : report_.at("names").as_array()) names.emplace_back(name.as_string());
  return names;
}

std::string PayloadReport::variable(const std::string& name) const {
  const auto* const value = report_.at("environment").as_object().if_contains(name);
  return value == nullptr ? "" : std::string(value->as_string());
}

std::vector<std::string> PayloadReport::variables() const {
  std::vector<std::string> variables;
  for (const auto& [name, value] : report_.at("environment").as_object()) {
    variables.push_back(std::string(name) + '=' + std::string(value.as_string()));
  }
  std::ranges::sort(variables);
  return variables;
}

std::vector<int> PayloadReport::numbers() const {
  std::vector<int> numbers;
  for (const auto& entry : report_.at("fds").as_array()) numbers.push_back(entry.at("fd").to_number<int>());
  return numbers;
}

const boost::json::object& PayloadReport::row(int number) const {
  for (const auto& entry : report_.at("fds").as_array()) {
    if (entry.at("fd").to_number<int>() == number) return entry.as_object();
  }
  throw std::runtime_error("the payload has no descriptor " + std::to_string(number));
}

PayloadReport::Identity PayloadReport::identity(int number) const {
  const auto& object = row(number);
  const auto* const socket = object.if_contains("socket");
  return {object.at("device").to_number<std::uint64_t>(), object.at("inode").to_number<std::uint64_t>(),
          socket == nullptr ? 0 : socket->at("cookie").to_number<std::uint64_t>()};
}

std::string PayloadReport::type(int number) const { return std::string(row(number).at("type").as_string()); }

PayloadReport::Identity identity_of(const FdRow& row) {
  return {row.device, row.inode, row.socket ? row.socket->cookie : 0};
}

pid_t stopped_process(Program& chain) {
  const pid_t pid = std::stoi(chain.rest_of_err_line("(FDCHAIN_STOP), pid "));
  // It speaks just before it stops. Only its parent gets an event for the stop itself, and that is not this
  // test.
  wait_until("its stop", [&] {
    const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    return stat.find(") T ") != std::string::npos || stat.find(") t ") != std::string::npos;  // followed
  });
  return pid;
}

}  // namespace fdchain::test
