#include "monitor/conmon/foreground.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/help.h"
#include "fdchain/program/log.h"
#include "fdchain/program/terminal.h"
#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/system/exec/daemon.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/process_info.h"
#include "monitor/conmon/container.h"

namespace fdchain {
namespace {

// What conmon exits with whenever it refuses or fails.
constexpr int refused = 1;

// Thrown where conmon refuses something later than its options.
struct Refused {
  ConmonRefusal refusal;
};

int refuse(const ConmonRefusal& refusal) {
  log::tell_syslog(log::Level::error, refusal.text);
  const std::string line = printable(refusal.text, 4000) + '\n';
  if (refusal.on_stdout)
    (void)!::write(STDOUT_FILENO, line.data(), line.size());  // nobody is left to be told of a failure
  else
    print_line(refusal.text);
  return refused;
}

int answer(const std::string& text) {
  write_all_patiently(STDOUT_FILENO, text, "stdout");
  return 0;
}

void set_log_level(const ConmonOptions& options) {
  std::string level = options.log_level.value_or("warn");
  for (char& letter : level) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  if (level == "debug" || level == "trace") log::set_level(log::Level::debug);
  if (level == "info") log::set_level(log::Level::info);
  if (level == "error" || level == "fatal" || level == "panic") log::set_level(log::Level::error);
}

// In conmon's words where it refuses, too: `Success` is what its errno says of a text that is no number.
int pipe_number(std::string_view text, std::string_view name) {
  const bool negative = text.starts_with('-');
  const auto number = parse_decimal(text.substr(negative ? 1 : 0), INT_MAX);
  if (!number) throw Refused{conmon_refusal("unable to parse " + std::string(name) + " Success")};
  if (negative || ::fcntl(static_cast<int>(*number), F_GETFD) < 0)
    throw Refused{conmon_refusal("unable to make " + std::string(name) + " CLOEXEC Bad file descriptor")};
  return static_cast<int>(*number);
}

// conmon takes no pipe at stdin's number, and fails for what is not open. One that is a socket to pass on, or
// was taken by another name, would be closed under its other owner.
OwnedFd take_pipe(const Arrival& arrival, std::string_view name, std::initializer_list<int> taken = {}) {
  const auto text = arrival.environment.get(name);
  if (!text || text->empty() || *text == "0") return OwnedFd();
  const int number = pipe_number(*text, name);
  if (std::ranges::find(taken, number) != taken.end())
    throw Failure(std::string(name) + '=' + std::to_string(number) + ": another pipe's number");
  return take_handshake_fd(number, name, arrival.window.end());
}

OwnedFd take_attach_pipe(const Arrival& arrival, std::initializer_list<int> taken) {
  OwnedFd pipe = take_pipe(arrival, attach_pipe_name, taken);
  if (!pipe)
    throw Refused{conmon_refusal("--attach specified but " + std::string(attach_pipe_name) + " was not")};
  return pipe;
}

// How many descriptors from 3 upwards the container has been promised. LISTEN_FDS counts whatever LISTEN_PID
// says, since who is meant by it is the runtime's to ask; and the two are one promise, not a sum.
int promised_fds(const Environment& environment, const ConmonOptions& options) {
  const std::string sockets(environment.get(listen_fds_name).value_or("0"));
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  const long most = static_cast<long>(std::min<rlim_t>(limit.rlim_cur, INT_MAX));
  const long wanted = std::max<long>(std::strtol(sockets.c_str(), nullptr, 10), announced_fds(options));
  return static_cast<int>(std::clamp<long>(wanted, 0, most));
}

// Takes the descriptors over that came with this process and are none of the handshake: those that are
// promised to the container are passed on, and all are held until it has ended, as a reserved port must be.
void adopt_inherited(const std::vector<int>& numbers, const std::array<int, 3>& handshake,
                     ContainerStart& start) {
  const int end = listen_fds_start + promised_fds(start.arrival.environment, start.options);
  for (const int number : numbers) {
    if (std::ranges::find(handshake, number) != handshake.end()) continue;
    if (number >= start.arrival.window.end()) start.held.emplace_back(number);
    if (number >= end) continue;
    if (!start.promised.empty() && start.promised.back().target + start.promised.back().count == number)
      ++start.promised.back().count;
    else
      start.promised.push_back({number, number, 1, false, "promised to the container"});
  }
}

// The open descriptors that came with this process. To be asked before anything is opened.
std::vector<int> inherited_fds() {
  const auto read = [] {
    const auto self = proc::Process::self();
    return self ? self->descriptors() : std::nullopt;
  };
  auto found = read();
  if (!found) fail(errno, "read", "/proc/self/fd");
  std::vector<int> numbers = std::move(*found);
  // Those that the reading itself has opened are among them, and closed by now.
  std::erase_if(numbers, [](int number) { return number <= STDERR_FILENO || ::fcntl(number, F_GETFD) < 0; });
  return numbers;
}

void read_byte(const OwnedFd& start_pipe) {
  std::array<char, 8192> said{};
  // Its end is a go too: a caller that has gone leaves the container to itself, as with conmon.
  check(retry([&] { return ::read(start_pipe.get(), said.data(), said.size()); }), "read", "start pipe");
}

std::optional<std::string> why_not_runnable(const std::string& path) {
  return ::access(path.c_str(), X_OK) < 0 ? std::optional(std::strerror(errno)) : std::nullopt;
}

std::unique_ptr<ContainerLog> open_log(const ConmonOptions& options, const ConmonLogs& logs) try {
  return std::make_unique<ContainerLog>(options, logs);
} catch (const std::system_error& error) {
  throw Refused{conmon_refusal(error.what())};
}

// What cannot be used is said before the caller has been left.
void check_paths(const ConmonOptions& options, const ConmonLogs& logs) {
  if (logs.passthrough && (::isatty(STDIN_FILENO) || ::isatty(STDOUT_FILENO) || ::isatty(STDERR_FILENO)))
    throw Failure("a terminal cannot be passed through: the container could type into it (TIOCSTI)", refused);
  if (options.seccomp_notify_socket || options.seccomp_notify_plugins)
    throw Failure(
        "--seccomp-notify-socket and --seccomp-notify-plugins: plugins cannot be loaded into a static "
        "program",
        refused);
}

// A start before its pid file is there would be a container whose monitor nobody can find.
class Gate {
 public:
  Gate() { check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()), "socketpair"); }
  ~Gate() {
    for (const int end : ends_) {
      if (end >= 0) ::close(end);
    }
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void open() const { (void)!::send(ends_[0], "", 1, MSG_NOSIGNAL); }
  /// False when whoever was to open it has gone without.
  [[nodiscard]] bool wait() {
    ::close(std::exchange(ends_[0], -1));
    char byte = 0;
    return retry([&] { return ::read(ends_[1], &byte, 1); }) == 1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

void write_pidfile(const ConmonOptions& options, pid_t pid) {
  if (options.conmon_pidfile)
    write_file_atomically(*options.conmon_pidfile, std::to_string(pid), "--conmon-pidfile");
}

[[noreturn]] void leave_foreground(const ConmonOptions& options, const Gate& gate, pid_t monitor) {
  const int status = guarded(Hop::monitor, [&] {
    write_pidfile(options, monitor);
    gate.open();
    return 0;
  });
  leave_at_once(status == 0 ? 0 : refused);
}

int run(Arrival arrival, const ConmonOptions& options, const ConmonLogs& logs) {
  // Before anything is opened: later, a number that was announced wrongly could be a descriptor of our own.
  const std::vector<int> numbers = inherited_fds();
  set_log_level(options);
  if (options.syslog) log::also_to_syslog(options.cid.value_or(""));
  check_paths(options, logs);
  if (options.no_container_partial_message && !logs.journald)
    log::warn("--no-container-partial-message has no effect without journald log driver");  // conmon's words
  ContainerStart start;
  start.options = options;
  start.arrival = std::move(arrival);
  start.sync_pipe = take_pipe(start.arrival, sync_pipe_name);
  OwnedFd start_pipe = take_pipe(start.arrival, start_pipe_name, {start.sync_pipe.get()});
  if (options.exec_attach)
    start.attach_pipe = take_attach_pipe(start.arrival, {start.sync_pipe.get(), start_pipe.get()});
  adopt_inherited(numbers, {start.sync_pipe.get(), start_pipe.get(), start.attach_pipe.get()}, start);
  start.log = open_log(options, logs);
  if (start_pipe) read_byte(start_pipe);
  if (options.exec_attach)
    start.start_pipe = std::move(start_pipe);
  else
    start_pipe.close();
  // Who stays in the foreground is known to its caller, and writes no pid file, as conmon does not.
  if (!options.sync) {
    Gate gate;
    if (const pid_t monitor = split_process(); monitor != 0) leave_foreground(options, gate, monitor);
    if (!gate.wait()) leave_at_once(refused);
  }
  return watch_container(std::move(start));
}

}  // namespace

int run_as_conmon(Arrival arrival, const std::vector<std::string>& words) {
  const auto parsed = parse_conmon_options(words);
  if (const auto* const refusal = std::get_if<ConmonRefusal>(&parsed)) return refuse(*refusal);
  const auto& options = std::get<ConmonOptions>(parsed);
  if (options.help) return answer(help_text(conmon_help(), columns_of(STDOUT_FILENO, usual_help_columns)));
  if (options.version) return answer(conmon_version(FDCHAIN_VERSION));
  if (auto refusal = check_conmon_options(options, why_not_runnable)) {
    // Neither dialect can do anything with no words at all.
    if (words.empty()) refusal->text += " (or name a RUNTIME to run; see --help)";
    return refuse(*refusal);
  }
  const auto logs = parse_conmon_logs(options);
  if (const auto* const refusal = std::get_if<ConmonRefusal>(&logs)) return refuse(*refusal);
  bool failed = false;
  const int status = guarded(
      [&] {
        checkpoint(arrival.environment, Hop::monitor, Moment::arrival);
        log::start(Hop::monitor);
        try {
          return run(std::move(arrival), options, std::get<ConmonLogs>(logs));
        } catch (const Refused& refused_late) {
          return refuse(refused_late.refusal);
        }
      },
      [&](std::string_view text, int) {
        print_error(Hop::monitor, text);
        log::tell_syslog(log::Level::error, text);
        failed = true;
      });
  return failed ? refused : status;
}

}  // namespace fdchain
