#include "integration/harness/program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/process/v2/posix/default_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <chrono>
#include <climits>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "fdchain/system/exec/child_side.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain::test {
namespace {

namespace process = boost::process::v2;
using Clock = std::chrono::steady_clock;

// Between Boost's fork and exec: gives the child the descriptors the test asks for, and no other.
//
// Boost.Process 1.81 keeps its own error pipe at the lowest free number and closes too little (its close_all
// compares an entry of its list with itself), so the numbers the test wants are held while the pipe is made,
// and everything else is marked close-on-exec here.
struct Arrange {
  const Start& start;
  std::array<int, 3> stdio;
  const char* const* environment;

  template <typename Launcher>
  process::error_code on_setup(Launcher& launcher, const process::filesystem::path&,
                               const char* const*(&)) const {
    for (const auto& [source, target] : start.pass) launcher.fd_whitelist.push_back(target);
    launcher.env = environment;
    return {};
  }

  template <typename Launcher>
  process::error_code on_exec_setup(Launcher&, const process::filesystem::path&,
                                    const char* const*(&)) const {
    for (int number = 0; number < 3; ++number) ::dup2(stdio[static_cast<std::size_t>(number)], number);
    for (const int number : start.closed) ::close(number);
    mark_close_on_exec(3, INT_MAX);
    for (const auto& [source, target] : start.pass) {
      if (source == target)
        ::fcntl(target, F_SETFD, 0);
      else
        ::dup2(source, target);
    }
    if (start.nofile) {
      const rlimit limit{*start.nofile, *start.nofile};
      ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (!start.working_directory.empty() && ::chdir(start.working_directory.c_str()) < 0) ::_exit(199);
    return {};
  }
};

// Keeps the numbers up to `highest` in use, so that what is opened meanwhile gets a higher one.
std::vector<OwnedFd> hold_low_numbers(int highest) {
  std::vector<OwnedFd> held;
  while (true) {
    OwnedFd next = open_dev_null();
    const bool done = next.get() > highest;
    held.push_back(std::move(next));
    if (done) return held;
  }
}

int highest_target(const Start& start) {
  int highest = 2;
  for (const auto& [source, target] : start.pass) highest = std::max(highest, target);
  return highest;
}

// Sources could stand where a target goes: work with copies above all targets.
Start with_high_sources(const Start& start, int above, std::vector<OwnedFd>& copies) {
  Start moved = start;
  for (auto& [source, target] : moved.pass) {
    copies.emplace_back(check(::fcntl(source, F_DUPFD_CLOEXEC, above), "fcntl"));
    source = copies.back().get();
  }
  return moved;
}

OwnedFd input_file(const std::string& text) {
  OwnedFd file(check(::memfd_create("input", MFD_CLOEXEC), "memfd_create"));
  write_all(file.get(), text, "input");
  ::lseek(file.get(), 0, SEEK_SET);
  return OwnedFd(
      check(::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY | O_CLOEXEC), "open"));
}

std::vector<std::string> environment_of(const Start& start) {
  std::vector<std::string> environment = start.environment;
  for (const std::string assignment :
       {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp"}) {
    const std::string name = assignment.substr(0, assignment.find('=') + 1);
    const bool given =
        std::ranges::any_of(environment, [&](const std::string& own) { return own.starts_with(name); });
    if (!given) environment.push_back(assignment);
  }
  return environment;
}

}  // namespace

Program::Program(const Start& start) {
  const int highest = highest_target(start);
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  std::vector<OwnedFd> held = hold_low_numbers(highest);
  check(::pipe2(out.data(), O_CLOEXEC), "pipe2");
  check(::pipe2(err.data(), O_CLOEXEC), "pipe2");
  out_.pipe = OwnedFd(out[0]);
  err_.pipe = OwnedFd(err[0]);
  const OwnedFd out_write(out[1]);
  const OwnedFd err_write(err[1]);
  const OwnedFd input = input_file(start.input);
  std::vector<OwnedFd> copies;
  const Start moved = with_high_sources(start, highest + 1, copies);
  const std::vector<std::string> environment = environment_of(start);
  std::vector<const char*> pointers;
  for (const std::string& assignment : environment) pointers.push_back(assignment.c_str());
  pointers.push_back(nullptr);
  const std::string path = find_program(start.argv.front(), "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  const std::vector<std::string> arguments(start.argv.begin() + 1, start.argv.end());
  boost::asio::io_context io;
  process::error_code error;
  auto child = process::posix::default_launcher()(
      io.get_executor(), error, path, arguments,
      Arrange{moved, {input.get(), out_write.get(), err_write.get()}, pointers.data()});
  if (error) throw std::runtime_error("cannot start " + path + ": " + error.message());
  pid_ = child.id();
  child.detach();  // waited for here, with a deadline
}

Program::Program(Program&& other) noexcept
    : pid_(other.pid_),
      reaped_(std::exchange(other.reaped_, true)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)) {}

Program::~Program() {
  if (reaped_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Program::signal(int number) const { check(::kill(pid_, number), "kill"); }

void Program::give_up(const std::string& why) const {
  throw std::runtime_error(why + "\nstdout so far: " + out_.text + "\nstderr so far: " + err_.text);
}

// Waits until one of both streams says something or, when `pidfd` is not -1, until the program has ended.
void Program::read_some(int pidfd, std::chrono::seconds within) {
  std::array<pollfd, 3> polled{pollfd{out_.pipe.get(), POLLIN, 0}, pollfd{err_.pipe.get(), POLLIN, 0},
                               pollfd{pidfd, POLLIN, 0}};
  const auto ready =
      ::poll(polled.data(), polled.size(), static_cast<int>(std::chrono::milliseconds(within).count()));
  if (ready == 0) give_up("nothing happens");
  for (Stream* const stream : {&out_, &err_}) {
    if (polled[stream == &out_ ? 0 : 1].revents == 0) continue;
    std::array<char, 65536> buffer{};
    const ssize_t got = ::read(stream->pipe.get(), buffer.data(), buffer.size());
    if (got > 0)
      stream->text.append(buffer.data(), static_cast<std::size_t>(got));
    else
      stream->pipe.close();
  }
}

std::string Program::wait_for(Stream& stream, const std::string& text) {
  const auto deadline = Clock::now() + usual_patience;
  while (stream.text.find(text) == std::string::npos) {
    if (!stream.pipe) give_up("ended without saying '" + text + "'");
    if (Clock::now() > deadline) give_up("did not say '" + text + "'");
    read_some(-1);
  }
  return stream.text;
}

std::string Program::rest_of_err_line(const std::string& text) {
  const std::size_t at = wait_for(err_, text).find(text) + text.size();
  while (err_.text.find('\n', at) == std::string::npos) {
    if (!err_.pipe) give_up("ended within a line");
    read_some(-1);
  }
  return err_.text.substr(at, err_.text.find('\n', at) - at);
}

void Program::read_what_is_there(Stream& stream) {
  if (!stream.pipe) return;
  ::fcntl(stream.pipe.get(), F_SETFL, O_NONBLOCK);
  std::array<char, 65536> buffer{};
  ssize_t got = 0;
  while ((got = ::read(stream.pipe.get(), buffer.data(), buffer.size())) > 0) {
    stream.text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::string Program::err() {
  read_what_is_there(err_);
  return err_.text;
}

Result Program::finish(std::chrono::seconds within) {
  const OwnedFd pidfd(check(open_pidfd(pid_), "pidfd_open"));
  const auto deadline = Clock::now() + within;
  pollfd ended{pidfd.get(), POLLIN, 0};
  while (::poll(&ended, 1, 0) == 0) {
    if (Clock::now() > deadline) give_up("does not end");
    read_some(pidfd.get(), within);
  }
  // What it wrote is in the pipes; whoever else holds their other ends is not waited for.
  read_what_is_there(out_);
  read_what_is_there(err_);
  int raw = 0;
  rusage usage{};
  check(::wait4(pid_, &raw, 0, &usage), "wait4");
  reaped_ = true;
  return {WaitStatus(raw), out_.text, err_.text, usage.ru_maxrss};
}

Result run(const Start& start, std::chrono::seconds within) { return Program(start).finish(within); }

std::string read_file(const std::string& path) {
  // A process may end while its file in /proc is read; what was read until then is all there is.
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

namespace {
std::string& program_directory() {
  static std::string directory = FDCHAIN_BIN_DIR;
  return directory;
}
}  // namespace

std::string bin(const std::string& name) { return program_directory() + '/' + name; }

void take_programs_from(std::string directory) { program_directory() = std::move(directory); }

}  // namespace fdchain::test
