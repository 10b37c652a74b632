#include "tests/bench/contenders.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/plan/hand_over.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/processes.h"

namespace fdchain::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view search_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr in_port_t port = 39'080;

Environment environment() {
  return Environment({"PATH=" + std::string(search_path), "HOME=" + scratch_directory(), "INSTANT_EXIT=1"});
}

}  // namespace

HandOver to_start(const std::vector<std::string>& command) {
  HandOver next;
  next.program = find_program(command.front(), search_path);
  next.argv = command;
  next.environment = environment();
  return next;
}

pid_t start(const HandOver& next) {
  ExecImage image(next, current_signal_mask());
  const Spawned spawned = spawn(image);
  if (spawned.failure) throw std::runtime_error(image.describe(*spawned.failure));
  return spawned.pid;
}

void expect_success(pid_t pid, const std::string& what) {
  int status = 0;
  check(retry([&] { return ::waitpid(pid, &status, 0); }), "waitpid");
  if (status != 0) throw std::runtime_error(what + " " + WaitStatus(status).describe());
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

namespace {

double run_to_end(const HandOver& next) {
  const auto begin = Clock::now();
  expect_success(start(next), next.program);
  const double seconds = seconds_since(begin);
  end_all_children();
  return seconds;
}

std::string& scratch() {
  static std::string directory;
  return directory;
}

}  // namespace

void use_scratch_directory(std::string directory) { scratch() = std::move(directory); }
const std::string& scratch_directory() { return scratch(); }

std::string make_root() {
  const fs::path root = fs::path(scratch_directory()) / "root";
  for (const char* const directory : {"proc", "sys", "dev", "tmp", "etc", "run", "bin"})
    fs::create_directories(root / directory);
  constexpr auto replace = fs::copy_options::overwrite_existing;
  fs::copy_file(program("exits_at_once"), root / "bin" / "exits_at_once", replace);
  fs::copy_file(program("payload"), root / "payload", replace);
  return root;
}

std::string program(const std::string& name) {
  static const fs::path installed = [] {
    const fs::path directory = fs::path(scratch_directory()) / "bin";
    fs::create_directories(directory);
    for (const char* const built : {"launcher", "monitor", "runtime-shim", "payload"})
      fs::copy(fs::path(FDCHAIN_BIN_DIR) / built, directory);
    for (const char* const built : {"plain_chain", "exits_at_once", "instant_runtime", "opens_itself"})
      fs::copy(fs::path(FDCHAIN_BENCH_DIR) / built, directory);
    return directory;
  }();
  return installed / name;
}

bool is_installed(const std::string& name) {
  try {
    (void)find_program(name, search_path);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

std::optional<std::vector<std::string>> if_it_works(const std::vector<std::string>& command,
                                                    std::string& why_not) {
  if (!is_installed(command.front())) {
    why_not = command.front() + " is not installed";
    return std::nullopt;
  }
  HandOver next = to_start(command);
  const OwnedFd log(check(
      ::open((scratch_directory() + "/err").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "open"));
  next.passed.push_back({log.get(), STDERR_FILENO, 1, false, "stderr"});
  const pid_t pid = start(next);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status == 0) return command;
  std::ifstream said(scratch_directory() + "/err");
  std::getline(said, why_not);
  why_not = command.front() + " does not run here: " + why_not;
  return std::nullopt;
}

double whole_run(const std::vector<std::string>& command) { return run_to_end(to_start(command)); }

namespace {

// The sockets stand at 3 … count+2 and are inheritable on purpose: a run costs nothing but what every hop
// does with them.
void open_sockets(int count) {
  ::close_range(3, ~0U, 0);
  for (int i = 0; i < count; ++i) {
    const int socket = check(::socket(AF_UNIX, SOCK_STREAM, 0), "socket");  // NOLINT(android-cloexec-socket)
    const sockaddr unnamed{AF_UNIX, {}};
    check(::bind(socket, &unnamed, sizeof unnamed.sa_family), "bind");
    check(::listen(socket, 1), "listen");
  }
}

double run_with_sockets(const std::vector<std::string>& command, int count) {
  HandOver next = to_start(command);
  next.passed.push_back({listen_fds_start, listen_fds_start, count, true, "socket"});
  announce(next.environment, count, std::nullopt);
  next.name_pid = true;
  return run_to_end(next);
}

// The holder's life: a command on its channel, its words separated by zeros, is answered by the seconds it
// took.
[[noreturn]] void hold_sockets(int channel, int count) {
  ::dup2(channel, STDIN_FILENO);
  open_sockets(count);
  std::array<char, 4096> request{};
  for (ssize_t got = 0; (got = ::recv(STDIN_FILENO, request.data(), request.size(), 0)) > 0;) {
    std::vector<std::string> command;
    for (const char* word = request.data(); word < request.data() + got; word += command.back().size() + 1) {
      command.emplace_back(word);
    }
    double seconds = -1;
    try {
      seconds = run_with_sockets(command, count);
    } catch (const std::exception& error) {
      fmt::print(stderr, "bench: {}\n", error.what());
    }
    (void)!::send(STDIN_FILENO, &seconds, sizeof seconds, MSG_NOSIGNAL);
  }
  ::_exit(0);
}

}  // namespace

SocketHolder::SocketHolder(int count) {
  SocketPair channel = make_socket_pair();
  pid_ = check(::fork(), "fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    hold_sockets(channel.theirs.get(), count);
  }
  channel_ = std::move(channel.ours);
}

SocketHolder::~SocketHolder() {
  channel_.close();
  ::waitpid(pid_, nullptr, 0);
}

double SocketHolder::whole_run(const std::vector<std::string>& command) const {
  std::string request;
  for (const std::string& word : command) request.append(word).push_back('\0');
  double seconds = -1;
  if (!send_message(channel_, request) ||
      ::recv(channel_.get(), &seconds, sizeof seconds, 0) != sizeof seconds || seconds < 0) {
    throw std::runtime_error("the holder of the sockets has failed");
  }
  return seconds;
}

pid_t start_command(const std::vector<std::string>& command) { return start(to_start(command)); }

pid_t start_activated(const std::vector<std::string>& command, const OwnedFd& socket) {
  HandOver next = to_start(command);
  next.passed.push_back({socket.get(), listen_fds_start, 1, false, "socket"});
  announce(next.environment, 1, std::nullopt);
  next.name_pid = true;
  return start(next);
}

double first_byte(const std::vector<std::string>& command) {
  std::vector<std::string> activated{"systemd-socket-activate", "-l", "127.0.0.1:" + std::to_string(port)};
  activated.insert(activated.end(), command.begin(), command.end());
  HandOver next = to_start(activated);
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  const OwnedFd read_end(ends[0]);
  OwnedFd write_end(ends[1]);
  next.passed.push_back({write_end.get(), STDERR_FILENO, 1, false, "stderr"});
  const pid_t pid = start(next);
  write_end.close();
  std::array<char, 256> said{};
  check(::read(read_end.get(), said.data(), said.size()), "read");  // it says that it listens, or why not
  const OwnedFd client(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  char byte = 'x';
  const auto begin = Clock::now();
  check(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
  check(::send(client.get(), &byte, 1, MSG_NOSIGNAL), "send");
  check(::recv(client.get(), &byte, 1, 0), "recv");
  const double seconds = seconds_since(begin);
  ::kill(pid, SIGTERM);
  ::waitpid(pid, nullptr, 0);
  end_all_children();
  return seconds;
}

std::optional<std::vector<std::string>> podman_command(std::string& why_not) {
  const std::string state = scratch_directory() + "/podman";
  return if_it_works(
      {"podman", "--root", state + "/root", "--runroot", state + "/run", "--tmpdir", state + "/tmp", "run",
       "--rm", "--network=none", "--cgroups=disabled", "--ulimit", "nofile=1024:1024", "--ulimit",
       "nproc=1000:1000", "--rootfs", make_root(), "/bin/exits_at_once"},
      why_not);
}

}  // namespace fdchain::bench
