#include "launcher/accept/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "fdchain/model/failure.h"
#include "fdchain/model/variables.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/log.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/self.h"
#include "launcher/shared/run_words.h"
#include "launcher/shared/sockets.h"
#include "launcher/shared/systemd_notice.h"

namespace fdchain {
namespace {

constexpr std::string_view connection_name = "connection";  // systemd's, for Accept=yes
constexpr int moment_without_descriptors = 200;             // milliseconds

/// The other end of an IP connection; nothing of any other.
struct Peer {
  std::string address;
  std::string port;
};

Peer peer_of(const OwnedFd& connection) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(connection.get(), reinterpret_cast<sockaddr*>(&storage), &length) < 0) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
    ::inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size());
    return {text.data(), std::to_string(ntohs(in.sin_port))};
  }
  if (storage.ss_family != AF_INET6) return {};
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
  const bool is_ipv4 = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
  const auto* const bytes = reinterpret_cast<const char*>(&in6.sin6_addr);
  ::inet_ntop(is_ipv4 ? AF_INET : AF_INET6, is_ipv4 ? bytes + 12 : bytes, text.data(), text.size());
  return {text.data(), std::to_string(ntohs(in6.sin6_port))};
}

bool ends_a_process(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

class Connections {
 public:
  Connections(const RunOptions& options, const Arrival& arrival);
  int serve();

 private:
  struct Run {
    pid_t pid = 0;
    std::string whose;
  };

  void wait_for_something();
  void take(std::size_t index);
  void start(const OwnedFd& connection);
  [[nodiscard]] HandOver hand_over(const OwnedFd& connection, const Peer& peer) const;
  void hear_signal();
  void reap_runs();
  [[nodiscard]] bool is_full() const { return static_cast<int>(runs_.size()) >= most_; }

  RunOptions options_;
  const Arrival& arrival_;
  SignalFd signals_;
  Sockets sockets_;
  std::vector<Run> runs_;
  int most_ = 0;
  int ended_by_ = 0;
  bool told_that_full_ = false;
  bool out_of_descriptors_ = false;
};

sigset_t signals_and_deaths() {
  sigset_t wanted = signals_to_relay();
  ::sigaddset(&wanted, SIGCHLD);
  return wanted;
}

Connections::Connections(const RunOptions& options, const Arrival& arrival)
    : options_(options), arrival_(arrival), signals_(receive_signals(signals_and_deaths())) {
  open_sockets(options_, sockets_);
  for (const Opened& opened : sockets_.opened) {
    // A client that has gone again must not leave accept(2) waiting for the next one.
    check(::fcntl(opened.fd.get(), F_SETFL, O_NONBLOCK), "fcntl F_SETFL");
  }
  // One limit for all, as a unit has it.
  most_ = std::ranges::max(options_.listen, {}, &ListenSpec::max_connections).max_connections;
  RunOptions ready = options_;
  if (ready.sdnotify == SdNotify::container) ready.sdnotify = SdNotify::conmon;
  notify_systemd(ready, arrival_, 0);
  options_.listen_report.clear();
}

int Connections::serve() {
  while (ended_by_ == 0 || !runs_.empty()) wait_for_something();
  return exit_status::by_signal + ended_by_;
}

void Connections::wait_for_something() {
  std::vector<pollfd> waiting{{signals_.fd.get(), POLLIN, 0}};
  if (!out_of_descriptors_) {
    for (const Opened& opened : sockets_.opened) waiting.push_back({opened.fd.get(), POLLIN, 0});
  }
  retry([&] {
    return ::poll(waiting.data(), waiting.size(), out_of_descriptors_ ? moment_without_descriptors : -1);
  });
  out_of_descriptors_ = false;
  if (waiting[0].revents != 0) hear_signal();
  for (std::size_t i = 1; i < waiting.size() && ended_by_ == 0; ++i) {
    if (waiting[i].revents != 0) take(i - 1);
  }
}

void Connections::take(std::size_t index) {
  const OwnedFd connection(::accept4(sockets_.opened[index].fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) {
    // Anything else is about this one client, who has gone.
    out_of_descriptors_ = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
    return;
  }
  if (is_full()) {
    if (!told_that_full_) log::warn("max-connections={} are served; others are closed", most_);
    told_that_full_ = true;
    return;
  }
  try {
    start(connection);
  } catch (const std::exception& error) {
    log::error("connection: {}", error.what());  // the next one may fare better
  }
}

HandOver Connections::hand_over(const OwnedFd& connection, const Peer& peer) const {
  const Received nothing{arrival_.environment, 0, {}, false, options_.preserve_fds};
  HandOver next = pass_on(Hop::activator, nothing);
  for (Passed& preserved : next.passed) ++preserved.target;  // behind the socket
  next.passed.push_back({connection.get(), listen_fds_start, 1, false, "connection"});
  announce(next.environment, 1, std::string(connection_name));
  next.name_pid = true;
  next.name_pidfdid = observe_self().pidfdid.has_value();
  next.environment.unset(notify_socket_name);
  if (!peer.address.empty()) {
    next.environment.set("REMOTE_ADDR", peer.address);
    next.environment.set("REMOTE_PORT", peer.port);
  }
  next.program = find_own_program("launcher");
  next.argv = to_words(options_);
  next.argv.insert(next.argv.begin(), next.program);
  next.die_with_parent = ::getpid();
  return next;
}

void Connections::start(const OwnedFd& connection) {
  const Peer peer = peer_of(connection);
  const Spawned spawned = depart(hand_over(connection, peer), signals_.mask_before, Trace());
  const bool v6 = peer.address.find(':') != std::string::npos;
  const std::string address = v6 ? '[' + peer.address + ']' : peer.address;
  runs_.push_back(
      {spawned.pid, peer.address.empty() ? "a connection" : "connection of " + address + ':' + peer.port});
}

void Connections::hear_signal() {
  signalfd_siginfo info{};
  if (retry([&] { return ::read(signals_.fd.get(), &info, sizeof info); }) != sizeof info) return;
  const int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD) return reap_runs();
  // What a terminal sends, it sends to the runs as well.
  for (const Run& run : runs_) {
    if (info.ssi_code != SI_KERNEL) ::kill(run.pid, signal);
  }
  if (!ends_a_process(signal) || ended_by_ != 0) return;
  ended_by_ = signal;
  sockets_.opened.clear();  // and the paths with them
}

void Connections::reap_runs() {
  std::erase_if(runs_, [this](const Run& run) {
    int status = 0;
    if (retry([&] { return ::waitpid(run.pid, &status, WNOHANG); }) != run.pid) return false;
    const WaitStatus ended(status);
    const bool as_told = ended_by_ != 0 && ended.exit_status() == exit_status::by_signal + ended_by_;
    if (ended.exit_status() != 0 && !as_told) log::warn("{}: its run {}", run.whose, ended.describe());
    return true;
  });
  told_that_full_ = told_that_full_ && is_full();
}

}  // namespace

bool wants_run_per_connection(const RunOptions& options, const Arrival& arrival) {
  const auto& listen = options.listen;
  const auto accepting = std::ranges::find_if(listen, &ListenSpec::accept);
  if (accepting == listen.end()) return false;
  const auto refuse = [&](std::string_view why) {
    throw Failure(who_asks(*accepting) + ": accept makes a run for each connection; " + std::string(why));
  };
  if (!std::ranges::all_of(listen, &ListenSpec::accept)) refuse("every other socket needs it too");
  const auto* const env = std::get_if<ListenEnv>(&arrival.listen);
  if (env != nullptr && env->count > 0) refuse("there is none for the sockets of LISTEN_FDS");
  if (options.detach) refuse("there is none to --detach from");
  if (!options.pidfile.empty()) refuse("--pidfile has room for one");
  if (!options.exit_file.empty()) refuse("--exit-file has room for one");
  return true;
}

int serve_connections(const RunOptions& options, const Arrival& arrival) {
  return Connections(options, arrival).serve();
}

}  // namespace fdchain
