#include "launcher/accept/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <csignal>
#include <set>

#include "fdchain/model/failure.h"
#include "fdchain/model/variables.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/log.h"
#include "fdchain/program/notice.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/self.h"
#include "fdchain/system/socket/socket_options.h"
#include "launcher/shared/caretaker.h"
#include "launcher/shared/run_words.h"
#include "launcher/shared/sockets.h"
#include "launcher/shared/systemd_notice.h"

namespace fdchain {
namespace {

constexpr std::string_view connection_name = "connection";  // systemd's, for Accept=yes
constexpr std::chrono::milliseconds moment_without_descriptors{200};

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

/// A socket that listens, and of whom it is one: a unit has one limit for all of its sockets.
struct Listener {
  const ListenSpec* spec;
  OwnedFd fd;
  std::string of;
};

class Connections {
 public:
  Connections(const RunOptions& options, const Arrival& arrival);
  int serve();

 private:
  struct Run {
    pid_t pid = 0;
    std::string whose;
    std::string of;  ///< its listener's
  };
  using Clock = std::chrono::steady_clock;

  void wait_for_something();
  [[nodiscard]] Deadline end_of_patience() const;
  void feed_watchdog();
  void take(Listener& listener, bool is_hung_up);
  void start(const OwnedFd& connection, const Listener& listener);
  [[nodiscard]] HandOver hand_over(const OwnedFd& connection, const Peer& peer) const;
  void hear_signal();
  void reap_runs();
  [[nodiscard]] bool is_full(const std::string& of, int most) const {
    return std::ranges::count(runs_, of, &Run::of) >= most;
  }

  RunOptions options_;
  const Arrival& arrival_;
  SignalFd signals_;
  std::optional<Caretaker> caretaker_;  // of the names
  std::vector<Listener> listeners_;
  Sockets sockets_;  // and their names: gone before nobody listens there any more
  std::vector<Run> runs_;
  int ended_by_ = 0;
  std::set<std::string> told_that_full_;
  bool out_of_descriptors_ = false;
  std::chrono::microseconds watchdog_{};
  Clock::time_point fed_at_;
};

sigset_t signals_and_deaths() {
  sigset_t wanted = signals_to_relay();
  ::sigaddset(&wanted, SIGCHLD);
  return wanted;
}

Connections::Connections(const RunOptions& options, const Arrival& arrival)
    : options_(options), arrival_(arrival), signals_(receive_signals(signals_and_deaths())) {
  if (makes_names(options_)) caretaker_.emplace(remove_names);
  open_sockets(options_, sockets_, caretaker_ ? &*caretaker_ : nullptr);
  for (std::size_t i = 0; i < sockets_.opened.size(); ++i) {
    const ListenSpec& spec = options_.listen[i];
    OwnedFd& fd = sockets_.opened[i].fd;
    // A client that has gone again must not leave accept(2) waiting for the next one.
    check(::fcntl(fd.get(), F_SETFL, O_NONBLOCK), "fcntl F_SETFL");
    listeners_.push_back({&spec, std::move(fd), spec.unit.empty() ? std::to_string(i) : spec.unit});
  }
  watchdog_ = watchdog_interval(arrival_.environment);
  RunOptions ready = options_;
  if (ready.sdnotify == SdNotify::container) ready.sdnotify = SdNotify::conmon;
  notify_systemd(ready, arrival_, 0);
  options_.listen_report.clear();
}

int Connections::serve() {
  while (!runs_.empty() || (ended_by_ == 0 && !listeners_.empty())) wait_for_something();
  if (ended_by_ == 0) throw Failure("no socket listens any more, and every run has ended");
  return exit_status::by_signal + ended_by_;
}

// Until when nothing may happen.
Deadline Connections::end_of_patience() const {
  const Deadline end = out_of_descriptors_ ? after(moment_without_descriptors) : no_deadline;
  return watchdog_.count() == 0 ? end : std::min(end, fed_at_ + watchdog_ / 2);
}

// It is this process whom the manager has started: no run of a connection could do it.
void Connections::feed_watchdog() {
  if (watchdog_.count() == 0 || Clock::now() < fed_at_ + watchdog_ / 2) return;
  feed_service_watchdog(arrival_.environment);
  fed_at_ = Clock::now();
}

void Connections::wait_for_something() {
  feed_watchdog();
  std::vector<pollfd> waiting{{signals_.fd.get(), POLLIN, 0}};
  if (!out_of_descriptors_) {
    for (const Listener& listener : listeners_) waiting.push_back({listener.fd.get(), POLLIN, 0});
  }
  (void)poll_until(waiting, end_of_patience());
  out_of_descriptors_ = false;
  if (waiting[0].revents != 0) hear_signal();
  for (std::size_t i = 1; i < waiting.size() && ended_by_ == 0; ++i) {
    if (waiting[i].revents != 0) take(listeners_[i - 1], (waiting[i].revents & POLLHUP) != 0);
  }
  std::erase_if(listeners_, [](const Listener& listener) { return !listener.fd; });
}

void Connections::take(Listener& listener, bool is_hung_up) {
  const OwnedFd connection(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection && (errno == EINVAL || is_hung_up)) {
    // Somebody has shut it down: it would be readable for ever. A unix socket says no more than EAGAIN.
    log::warn("{} does not listen any more; it is served no longer", who_asks(*listener.spec));
    return listener.fd.close();
  }
  if (!connection) {
    // Anything else is about this one client, who has gone.
    out_of_descriptors_ = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
    return;
  }
  const int most = listener.spec->max_connections;
  if (is_full(listener.of, most)) {
    if (told_that_full_.insert(listener.of).second)
      log::warn("max-connections={} are served; others are closed", most);
    return;
  }
  told_that_full_.erase(listener.of);
  try {
    start(connection, listener);
  } catch (const std::exception& error) {
    log::error("connection: {}", error.what());  // the next one may fare better
  }
}

HandOver Connections::hand_over(const OwnedFd& connection, const Peer& peer) const {
  const Received nothing{arrival_.environment, 0, {}, false, options_.preserve_fds};
  HandOver next = pass_on(Hop::activator, nothing);
  for (FdPass& preserved : next.passed) ++preserved.target;  // behind the socket
  next.passed.push_back({connection.get(), listen_fds_start, 1, false, "connection"});
  announce(next.environment, 1, std::string(connection_name));
  next.name_pid = true;
  next.name_pidfdid = observe_self().pidfdid.has_value();
  // These are for this process alone.
  for (const auto name : {notify_socket_name, watchdog_usec_name, watchdog_pid_name})
    next.environment.unset(name);
  next.pid_variables = pid_variables_naming(next.environment, ::getpid());
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

void Connections::start(const OwnedFd& connection, const Listener& listener) {
  // Not all of them come with the connection. What the kernel refuses it has refused to the listener too.
  (void)set_options_after_bind(connection, *listener.spec);
  const Peer peer = peer_of(connection);
  const Spawned spawned = depart(hand_over(connection, peer), signals_.mask_before, Trace());
  const bool v6 = peer.address.find(':') != std::string::npos;
  const std::string address = v6 ? '[' + peer.address + ']' : peer.address;
  runs_.push_back({spawned.pid,
                   peer.address.empty() ? "a connection" : "connection of " + address + ':' + peer.port,
                   listener.of});
}

void Connections::hear_signal() {
  signalfd_siginfo info{};
  if (retry([&] { return ::read(signals_.fd.get(), &info, sizeof info); }) != sizeof info) return;
  const int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD) return reap_runs();
  for (const Run& run : runs_) {
    if (!is_from_keyboard(info)) ::kill(run.pid, signal);
  }
  if (!asks_for_end(signal) || ended_by_ != 0) return;
  ended_by_ = signal;
  sockets_.opened.clear();  // the paths, as long as they are certainly this process's
  listeners_.clear();
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
  if (!options.judging.contract.save_baseline.empty()) refuse("--save-baseline has room for one");
  for (const ReportRequest& report : options.reports) {
    if (!report.file.empty() || report.fd >= 0)
      refuse("--report " + report.format_name + (report.fd < 0 ? ":FILE" : ":fd:N") + " has room for one");
  }
  return true;
}

int serve_connections(const RunOptions& options, const Arrival& arrival) {
  return Connections(options, arrival).serve();
}

}  // namespace fdchain
