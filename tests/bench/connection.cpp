#include "tests/bench/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "fdchain/system/fd/sys.h"
#include "tests/bench/contenders.h"
#include "tests/support/process_memory.h"

namespace fdchain::bench {
namespace {

constexpr int round_trips = 50;
constexpr std::size_t burst = 1 << 20;
constexpr timeval patience{10, 0};

// The first or the second processor that this process may use; nothing where there is one alone.
void run_on(int which) {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    check(::sched_getaffinity(0, sizeof set, &set), "sched_getaffinity");
    return set;
  }();
  if (CPU_COUNT(&allowed) < 2) return;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || which-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    check(::sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
    return;
  }
}

// Before everybody else, where this process may: a machine that is busy with other things is not what is
// measured. Children inherit it.
void run_first(bool first) {
  const sched_param priority{first ? 1 : 0};
  (void)!::sched_setscheduler(0, first ? SCHED_FIFO : SCHED_OTHER, &priority);
}

void run_anywhere() {
  cpu_set_t all;
  std::memset(&all, 0xff, sizeof all);
  check(::sched_setaffinity(0, sizeof all, &all), "sched_setaffinity");
}

void receive_all(const OwnedFd& socket, std::size_t size) {
  std::array<char, 65536> buffer{};
  while (size > 0) {
    const ssize_t got = check(::recv(socket.get(), buffer.data(), std::min(buffer.size(), size), 0), "recv");
    if (got == 0) throw std::runtime_error("the payload has closed the connection");
    size -= static_cast<std::size_t>(got);
  }
}

void send_one(const OwnedFd& socket) { check(::send(socket.get(), "x", 1, MSG_NOSIGNAL), "send"); }

// It may not listen yet: until it does, the connection is refused.
OwnedFd connect_to(int port) {
  const sockaddr_in address{AF_INET, htons(static_cast<in_port_t>(port)), {htonl(INADDR_LOOPBACK)}, {}};
  const auto deadline = Clock::now() + std::chrono::seconds(patience.tv_sec);
  while (true) {
    OwnedFd socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      return socket;
    if (errno != ECONNREFUSED || Clock::now() > deadline) fail(errno, "connect");
    ::poll(nullptr, 0, 1);
  }
}

sockaddr_un abstract_address(int number) {
  sockaddr_un address{AF_UNIX, {}};
  const std::string name = "fdchain-bench-" + std::to_string(::getpid()) + '-' + std::to_string(number);
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  return address;
}

// A chain behind a socket of its own, which this process does not keep.
pid_t start_chain(int number, std::vector<OwnedFd>& clients) {
  const sockaddr_un address = abstract_address(number);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  const OwnedFd listener(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  check(::bind(listener.get(), generic, sizeof address), "bind");
  check(::listen(listener.get(), 1), "listen");
  clients.emplace_back(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  check(::setsockopt(clients.back().get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience),
        "setsockopt");
  check(::connect(clients.back().get(), generic, sizeof address), "connect");
  send_one(clients.back());
  return start_activated({program("launcher")}, listener);
}

}  // namespace

Served::Served(const std::vector<std::string>& command, int port) {
  run_first(true);
  run_on(1);
  pid_ = start_command(command);
  run_on(0);
  client_ = connect_to(port);
  const int on = 1;
  check(::setsockopt(client_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
  check(::setsockopt(client_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "setsockopt");
  send_one(client_);
  receive_all(client_, 1);
}

Served::~Served() {
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
  run_anywhere();
  run_first(false);
}

double Served::latency() const {
  const auto begin = Clock::now();
  for (int i = 0; i < round_trips; ++i) {
    send_one(client_);
    receive_all(client_, 1);
  }
  return seconds_since(begin) / round_trips;
}

double Served::seconds_per_byte() const {
  static const std::vector<char> bytes(burst / 16, 'x');
  const auto begin = Clock::now();
  std::size_t sent = 0;
  std::size_t back = 0;
  std::array<char, 65536> buffer{};
  while (back < burst) {
    pollfd ready{client_.get(), static_cast<short>(POLLIN | (sent < burst ? POLLOUT : 0)), 0};
    check(retry([&] { return ::poll(&ready, 1, static_cast<int>(patience.tv_sec) * 1000); }), "poll");
    if ((ready.revents & POLLOUT) != 0) {
      const ssize_t size = ::send(client_.get(), bytes.data(), std::min(bytes.size(), burst - sent),
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
      if (size > 0) sent += static_cast<std::size_t>(size);
    }
    if ((ready.revents & ~POLLOUT) == 0) continue;
    const ssize_t got = check(::recv(client_.get(), buffer.data(), buffer.size(), 0), "recv");
    if (got == 0) throw std::runtime_error("the payload has closed the connection");
    // Else the last piece would wait 40 ms for an acknowledgement that this side delays.
    const int on = 1;
    check(::setsockopt(client_.get(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on), "setsockopt");
    back += static_cast<std::size_t>(got);
  }
  return seconds_since(begin) / static_cast<double>(burst);
}

std::map<std::string, long> memory_of_chains(int count) {
  std::vector<OwnedFd> clients;
  std::vector<pid_t> launchers;
  for (int i = 0; i < count; ++i) launchers.push_back(start_chain(i, clients));
  for (const OwnedFd& client : clients) receive_all(client, 1);
  auto memory = test::pss_kb_by_name();
  for (const pid_t launcher : launchers) ::kill(launcher, SIGTERM);
  for (const pid_t launcher : launchers) ::waitpid(launcher, nullptr, 0);
  return memory;
}

}  // namespace fdchain::bench
