#include "monitor/conmon/container.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/plan/fault.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/program/observed.h"
#include "fdchain/protocol/conmon_sync.h"
#include "fdchain/system/files.h"
#include "fdchain/system/handshake.h"
#include "fdchain/system/observe_process.h"
#include "fdchain/system/pidfd.h"
#include "fdchain/system/signals.h"
#include "fdchain/system/sys.h"
#include "fdchain/system/trace_file.h"
#include "monitor/conmon/attach_server.h"
#include "monitor/conmon/console.h"
#include "monitor/conmon/control.h"
#include "monitor/conmon/input_queue.h"
#include "monitor/conmon/notify_relay.h"
#include "monitor/conmon/oom_watch.h"
#include "monitor/event_loop.h"
#include "monitor/output_pipe.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

// What conmon exits with when there was no container, and what it publishes for one that it had to kill.
constexpr int never_there = 1;
constexpr int timed_out_status = -1;

// As much of what a runtime says on stderr as is kept back until it is known whether it failed.
constexpr std::size_t most_early_output = 1 << 20;

// The pipe is opened anew by programs that write to /dev/stdout, whatever their user.
OwnedFd for_anybody(OwnedFd pipe_end) {
  (void)!::fchmod(pipe_end.get(), 0777);  // what cannot be changed can still be written to where it is
  return pipe_end;
}

sigset_t handled_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT}) ::sigaddset(&set, number);
  return set;
}

void point_at_dev_null() {
  const OwnedFd null = open_dev_null();
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    check(::dup2(null.get(), number), "dup2");
}

// One process's badness for the OOM killer. Best effort: an ordinary user may not lower it.
class OomScore {
 public:
  void protect_myself() {
    std::array<char, 16> text{};
    const OwnedFd file(::open(path, O_RDWR | O_CLOEXEC));
    const ssize_t got = ::read(file.get(), text.data(), text.size());
    if (got <= 0) return;
    before_.assign(text.data(), static_cast<std::size_t>(got));
    write("-1000");
  }
  void restore() const {
    if (!before_.empty()) write(before_);
  }

 private:
  static void write(std::string_view score) {
    const OwnedFd file(::open(path, O_WRONLY | O_CLOEXEC));
    (void)!::write(file.get(), score.data(), score.size());
  }

  static constexpr const char* path = "/proc/self/oom_score_adj";
  std::string before_;
};

// conmon's rule: LISTEN_PID becomes the runtime's where that is asked for, or where it is this process's.
bool names_runtime(const Environment& environment, const ConmonOptions& options) {
  const auto text = environment.get(listen_pid_name);
  if (!text) return false;
  const std::string value(*text);
  errno = 0;
  const long pid = std::strtol(value.c_str(), nullptr, 10);
  if (errno != 0 || pid <= 0) throw Failure("Invalid LISTEN_PID " + printable(value, 10));
  return options.replace_listen_pid || pid == ::getpid();
}

class ContainerMonitor {
 public:
  explicit ContainerMonitor(ContainerStart start);
  int run();

 private:
  void carefully(const std::function<void()>& step);
  void prepare();
  void watch();
  void open_streams();
  void open_channels();
  void wait_for_second_go();
  void start_runtime();
  HopPlan plan_runtime();
  std::vector<std::string> command() const;
  void take_terminal(OwnedFd terminal);
  void take_output(AttachStream stream, std::string_view bytes);
  void pass_output_on(AttachStream stream, std::string_view bytes);
  void hold_output_if_pressed();
  void wait_for_log();
  bool take_input(std::string_view bytes);
  void end_input();
  void obey(const ControlMessage& message);
  void resize(int rows, int columns) const;
  void watch_signals();
  void pass_on(int signal);
  void reap();
  void runtime_ended(WaitStatus status);
  std::string runtime_failure(WaitStatus status) const;
  void container_runs(pid_t container);
  void watch_stranger();
  void container_ended();
  void end_in_time();
  void out_of_memory() const;
  int finish();
  void finish(AtEnd step);
  void close_held();
  void publish(const std::string& directory, const std::string& name) const;
  int status() const;
  ConmonMessage last_message() const;
  void tell(const ConmonMessage& message);
  ConmonMessage::Key key() const;
  void observe_end();
  int run_exit_command();
  void wait_out_delay();

  ContainerStart start_;
  const ConmonOptions& options_ = start_.options;
  std::string bundle_;
  std::string pidfile_;
  Trace trace_;
  Conduct conduct_ = ideal_conduct(Hop::monitor);
  OomScore oom_score_;

  asio::io_context io_;
  sigset_t mask_before_{};
  asio::posix::stream_descriptor signals_{io_};
  asio::posix::stream_descriptor go_{io_};
  asio::posix::stream_descriptor log_room_{io_};
  asio::posix::stream_descriptor stranger_{io_};
  asio::steady_timer timeout_{io_};
  OutputPipe stdout_{io_, [this](std::string_view bytes) { take_output(AttachStream::out, bytes); }};
  OutputPipe stderr_{io_, [this](std::string_view bytes) { take_output(AttachStream::err, bytes); }};
  InputQueue stdin_{io_, [this] {
                      if (attach_) attach_->resume_input();
                    }};
  std::optional<AttachServer> attach_;
  std::optional<Console> console_;
  std::optional<ControlFifo> control_;
  std::optional<ControlFifo> window_;
  std::optional<NotifyRelay> notify_;
  std::optional<OomWatch> oom_;
  std::vector<OwnedFd> their_stdio_;  ///< until the runtime has them

  std::map<pid_t, WaitStatus> ended_early_;  ///< before it was known which of them is the container
  std::string early_stderr_;
  std::optional<std::string> failure_;
  bool passes_early_on_ = false;  ///< there is more of it than is kept
  bool waits_for_log_ = false;
  bool runtime_started_ = false;
  pid_t runtime_ = 0;
  pid_t container_ = 0;
  std::optional<WaitStatus> ended_;
  bool gone_ = false;  ///< the container has ended, whether or not it is known how
  bool timed_out_ = false;
};

ContainerMonitor::ContainerMonitor(ContainerStart start)
    : start_(std::move(start)),
      bundle_(options_.bundle.value_or("")),
      pidfile_(options_.container_pidfile.value_or(fs::current_path() / ("pidfile-" + *options_.cid))),
      trace_(start_.arrival.environment) {
  if (!options_.bundle && !options_.exec) bundle_ = fs::current_path();
  // What a caller has not passed through is not this process's; a terminal's other end waits for it.
  if (!start_.log->passthrough()) point_at_dev_null();
  ::setsid();  // fails for a session's leader, which is what it is for
  check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
  SignalFd signals = receive_signals(handled_signals());
  mask_before_ = signals.mask_before;
  signals_.assign(signals.fd.release());
}

int ContainerMonitor::run() {
  int result = never_there;
  guarded(
      [&] {
        prepare();
        watch();
        result = finish();
        return 0;
      },
      [&](std::string_view text, int) {
        print_error(Hop::monitor, text);
        tell({-1, "monitor: " + std::string(text), key()});
      });
  close_held();
  start_.sync_pipe.close();
  const int status = run_exit_command();
  return status != 0 ? status : result;
}

// Whatever fails once a runtime is at work, its container is not given up for: somebody has to publish its
// end.
void ContainerMonitor::carefully(const std::function<void()>& step) try {
  step();
} catch (const std::exception& error) {
  if (runtime_ == 0 && container_ == 0) throw;
  log::warn("{}", error.what());
}

void ContainerMonitor::watch() {
  while (!io_.stopped()) carefully([&] { run_event_loop(io_); });
}

void ContainerMonitor::prepare() {
  if (options_.sdnotify_socket) notify_.emplace(io_, bundle_, *options_.sdnotify_socket);
  if (start_.log->passthrough())
    their_stdio_.clear();
  else
    open_streams();
  if (!bundle_.empty() && !start_.log->passthrough()) open_channels();
  watch_signals();
  if (options_.exec_attach)
    wait_for_second_go();
  else
    start_runtime();
}

// What the runtime and the container get as 0, 1 and 2. With a terminal the container's come from the
// runtime, and only stderr is the runtime's own.
void ContainerMonitor::open_streams() {
  if (options_.terminal) {
    console_.emplace(io_, [this](OwnedFd terminal) { take_terminal(std::move(terminal)); });
    their_stdio_.push_back(open_dev_null());
    their_stdio_.push_back(open_dev_null());
  } else {
    if (options_.in) {
      std::array<int, 2> ends{};
      check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
      their_stdio_.emplace_back(ends[0]);
      stdin_.open(OwnedFd(ends[1]));
    } else {
      their_stdio_.push_back(open_dev_null());
    }
    their_stdio_.push_back(for_anybody(stdout_.make()));
  }
  their_stdio_.push_back(for_anybody(stderr_.make()));
}

void ContainerMonitor::open_channels() {
  if (!options_.full_attach) {
    const fs::path link = fs::path(options_.socket_dir_path.value_or("/var/run/crio")) / *options_.cuuid;
    if (::unlink(link.c_str()) < 0 && errno != ENOENT) fail(errno, "unlink", link.native());
    check(::symlink(bundle_.c_str(), link.c_str()), "symlink", link.native());
  }
  attach_.emplace(io_, bundle_,
                  AttachServer::Events{[this](std::string_view bytes) { return take_input(bytes); },
                                       [this] { end_input(); }, [this] { hold_output_if_pressed(); }});
  control_.emplace(io_, bundle_ + "/ctl", [this](std::string_view line) {
    if (const auto message = decode_control_line(line)) return obey(*message);
    log::warn("a control line without a meaning: {}", printable(line));
  });
  // conmon's own second FIFO, `ROWS COLUMNS`, for those who know it.
  window_.emplace(io_, bundle_ + "/winsz", [this](std::string_view line) {
    if (const auto message = decode_control_line("1 " + std::string(line))) obey(*message);
  });
}

void ContainerMonitor::wait_for_second_go() {
  if (!send_message(start_.attach_pipe, encode(ConmonMessage{0, std::nullopt, ConmonMessage::Key::data})))
    start_.attach_pipe.close();
  if (!start_.start_pipe) return start_runtime();
  go_.assign(start_.start_pipe.release());
  go_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    go_.close();
    start_runtime();
  });
}

std::vector<std::string> ContainerMonitor::command() const {
  return runtime_command(options_, bundle_, pidfile_, console_ ? console_->path() : "");
}

HopPlan ContainerMonitor::plan_runtime() {
  OciRuntimeStart start;
  start.environment = start_.arrival.environment;
  start.announced = start_.promised;
  start.command = command();
  start.monitor_pid = ::getpid();
  start.name_pid = names_runtime(start.environment, options_);
  if (!their_stdio_.empty())
    start.stdio = {their_stdio_[0].get(), their_stdio_[1].get(), their_stdio_[2].get()};
  HopPlan plan{hand_over_to_oci_runtime(start), conduct_};
  int promised = 0;
  for (const Passed& range : start_.promised) promised += range.count;
  edit_plan(plan, start_.arrival, promised, 0);
  return plan;
}

void ContainerMonitor::start_runtime() try {
  runtime_started_ = true;
  // A pid that is left from before would be taken for this container's.
  if (::unlink(pidfile_.c_str()) < 0 && errno != ENOENT) fail(errno, "unlink", pidfile_);
  const HopPlan plan = plan_runtime();
  conduct_ = plan.conduct;
  runtime_ = depart(plan.next, mask_before_, trace_).pid;
  their_stdio_.clear();
  if (start_.log->passthrough()) {
    point_at_dev_null();
  } else {
    stderr_.start();
    if (!options_.terminal) stdout_.start();
  }
  oom_score_.protect_myself();
  checkpoint(start_.arrival.environment, Hop::monitor, Moment::after_fork);
} catch (const std::exception& error) {
  failure_ = std::string("monitor: ") + error.what();
  io_.stop();
}

void ContainerMonitor::take_terminal(OwnedFd terminal) {
  carefully([&] {
    stdin_.open(OwnedFd(check(::fcntl(terminal.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1), "fcntl")));
  });
  carefully([&] { stdout_.adopt(std::move(terminal)); });
}

void ContainerMonitor::take_output(AttachStream stream, std::string_view bytes) {
  // What a runtime says until it has ended may be why it failed, or the first words of an exec session.
  if (stream == AttachStream::err && container_ == 0) {
    const std::size_t room = most_early_output - early_stderr_.size();
    early_stderr_ += bytes.substr(0, room);
    if (bytes.size() <= room) return;
    // More than can be kept back: it goes where it belongs at once, and what is kept is for the message
    // alone.
    if (!std::exchange(passes_early_on_, true)) pass_output_on(stream, early_stderr_);
    bytes.remove_prefix(room);
  }
  pass_output_on(stream, bytes);
}

void ContainerMonitor::pass_output_on(AttachStream stream, std::string_view bytes) {
  if (attach_) attach_->accept_waiting();
  start_.log->write(stream, bytes);
  if (attach_) attach_->broadcast(stream, bytes);
  hold_output_if_pressed();
}

// The container's output waits for its log and for its clients; nothing else does.
void ContainerMonitor::hold_output_if_pressed() {
  const bool log_pressed = start_.log->pressed();
  if (log_pressed) wait_for_log();
  const bool held = log_pressed || (attach_ && attach_->pressed());
  stdout_.hold(held);
  stderr_.hold(held);
}

void ContainerMonitor::wait_for_log() {
  if (std::exchange(waits_for_log_, true)) return;
  if (!log_room_.is_open())
    log_room_.assign(check(::fcntl(start_.log->room(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1), "fcntl"));
  log_room_.async_wait(asio::posix::stream_descriptor::wait_write, [this](auto error) {
    waits_for_log_ = false;
    if (error) return;
    start_.log->relieve();
    hold_output_if_pressed();
  });
}

bool ContainerMonitor::take_input(std::string_view bytes) {
  return options_.in || options_.terminal ? stdin_.write(bytes) : true;
}

void ContainerMonitor::end_input() {
  if (options_.in && !options_.terminal && !options_.leave_stdin_open) stdin_.end();
}

void ContainerMonitor::obey(const ControlMessage& message) {
  switch (message.kind) {
    case ControlMessage::Kind::resize: resize(message.rows, message.columns); break;
    case ControlMessage::Kind::reopen_logs: start_.log->reopen(); break;
  }
}

void ContainerMonitor::resize(int rows, int columns) const {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows);
  size.ws_col = static_cast<unsigned short>(columns);
  if (stdout_.terminal() < 0 || ::ioctl(stdout_.terminal(), TIOCSWINSZ, &size) < 0)
    log::warn("there is no terminal to resize");
}

void ContainerMonitor::watch_signals() {
  signals_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    while (const int number = read_signal(signals_.native_handle())) {
      carefully([&] { number == SIGCHLD ? reap() : pass_on(number); });
    }
    watch_signals();
  });
}

void ContainerMonitor::pass_on(int signal) {
  if (!runtime_started_) {
    failure_ =
        std::string("monitor: ended by SIG") + ::sigabbrev_np(signal) + " before the runtime was started";
    return io_.stop();
  }
  const pid_t whom = container_ != 0 ? container_ : runtime_;
  if (whom != 0 && !gone_) ::kill(whom, signal);
}

void ContainerMonitor::reap() {
  int raw = 0;
  for (pid_t child = 0; (child = ::waitpid(-1, &raw, WNOHANG)) > 0;) {
    const WaitStatus status(raw);
    log::debug("pid {} {}", child, status.describe());
    if (child == runtime_) {
      runtime_ = 0;
      runtime_ended(status);
    } else if (child == container_) {
      ended_ = status;
      container_ended();
    } else if (container_ == 0) {
      ended_early_.emplace(child, status);
    }
  }
}

void ContainerMonitor::runtime_ended(WaitStatus status) {
  if (console_) console_->take_now();
  std::ifstream file(pidfile_);
  pid_t container = 0;
  const bool made = status == WaitStatus::for_exit_code(0) && file >> container && container > 0;
  if (made) return container_runs(container);
  stderr_.drain();
  failure_ = runtime_failure(status);
  io_.stop();
}

std::string ContainerMonitor::runtime_failure(WaitStatus status) const {
  // As it was said: podman looks for words in it.
  if (!early_stderr_.empty()) return early_stderr_;
  const std::string runtime = "monitor: " + printable(*options_.runtime) + ' ';
  if (status != WaitStatus::for_exit_code(0)) return runtime + status.describe() + " and said nothing";
  return runtime + "said nothing of the container's pid in " + printable(pidfile_);
}

void ContainerMonitor::container_runs(pid_t container) {
  container_ = container;
  const std::string early = std::exchange(early_stderr_, {});
  carefully([&] {
    if (!early.empty() && !passes_early_on_) take_output(AttachStream::err, early);
  });
  carefully([&] { oom_.emplace(io_, container, [this] { out_of_memory(); }); });
  const bool legacy_exec = options_.exec && !options_.api_version;
  if (!legacy_exec) tell({container, std::nullopt, key()});
  carefully([&] { checkpoint(start_.arrival.environment, Hop::monitor, Moment::running); });
  if (const auto early_end = ended_early_.find(container); early_end != ended_early_.end()) {
    ended_ = early_end->second;
    return container_ended();
  }
  watch_stranger();
  if (options_.timeout.value_or(0) > 0) end_in_time();
}

// A runtime that has not left the container to this process: its end can be seen, its status not.
void ContainerMonitor::watch_stranger() {
  siginfo_t info{};
  const bool ours =
      retry([&] {
        return ::waitid(P_PID, static_cast<id_t>(container_), &info, WEXITED | WNOHANG | WNOWAIT);
      }) == 0;
  if (ours) return;
  log::warn("the runtime has kept the container's process {} as its own", container_);
  OwnedFd pidfd(open_pidfd(container_));
  if (!pidfd) return container_ended();
  stranger_.assign(pidfd.release());
  stranger_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (!error) container_ended();
  });
}

void ContainerMonitor::container_ended() {
  gone_ = true;
  io_.stop();
}

void ContainerMonitor::end_in_time() {
  timeout_.expires_after(std::chrono::seconds(*options_.timeout));
  timeout_.async_wait([this](auto error) {
    if (error || gone_) return;
    timed_out_ = true;
    // The whole group, as conmon does; its leader is the container's first process.
    const pid_t group = ::getpgid(container_);
    if (group <= 1 || group == ::getpgrp() || ::kill(-group, SIGKILL) < 0) ::kill(container_, SIGKILL);
  });
}

void ContainerMonitor::out_of_memory() const {
  log::warn("the kernel has killed for want of memory");
  for (const std::string& directory : {bundle_, options_.persist_dir.value_or("")}) {
    if (directory.empty()) continue;
    const OwnedFd file(::open((directory + "/oom").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!file) log::warn("{}/oom cannot be made", directory);
  }
}

int ContainerMonitor::finish() {
  if (failure_) {
    tell({-1, *failure_, key()});
    log::warn("{}", printable(*failure_, 1000));
    return never_there;
  }
  if (notify_) notify_->relay_all();
  if (oom_) oom_->look();
  for (const AtEnd step : conduct_.after_exit) carefully([&] { finish(step); });
  return status();
}

void ContainerMonitor::finish(AtEnd step) {
  switch (step) {
    case AtEnd::drain_log:
      stdout_.drain();
      stderr_.drain();
      start_.log->finish();
      break;
    case AtEnd::drop_sockets: close_held(); break;
    case AtEnd::write_exit_file:
      // A client that has its end looks for the status next, so it has to be let go of before.
      if (attach_) attach_->finish();
      observe_end();
      publish(options_.persist_dir.value_or(""), "exit");
      publish(options_.exit_dir.value_or(""), *options_.cid);
      break;
    case AtEnd::tell_status:
      if (options_.exec) tell(last_message());
      break;
    // As with conmon, what a container leaves is not this process's to end: without a pid namespace it may be
    // meant to stay. Names and failures are the native dialect's.
    case AtEnd::end_leftovers:
    case AtEnd::remove_names:
    case AtEnd::tell_failure: break;
  }
}

void ContainerMonitor::close_held() {
  start_.arrival.window.close();
  start_.held.clear();
}

void ContainerMonitor::publish(const std::string& directory, const std::string& name) const try {
  if (!directory.empty())
    write_file_atomically(directory + '/' + name, std::to_string(status()), "exit file");
} catch (const std::exception& error) {
  log::warn("{}", error.what());
}

int ContainerMonitor::status() const {
  if (timed_out_ || !ended_) return timed_out_status;
  return ended_->exit_status();
}

ConmonMessage ContainerMonitor::last_message() const {
  return {status(), timed_out_ ? std::optional<std::string>("command timed out") : std::nullopt, key()};
}

ConmonMessage::Key ContainerMonitor::key() const {
  if (options_.api_version) return ConmonMessage::Key::data;
  return options_.exec ? ConmonMessage::Key::exit_code : ConmonMessage::Key::pid;
}

// A caller that has gone is not told, and that is no error of this process's.
void ContainerMonitor::tell(const ConmonMessage& message) {
  if (!start_.sync_pipe) return;
  const std::string line = encode(message);
  // A caller may give a pipe as well as a socket.
  const ssize_t sent = retry([&] { return ::write(start_.sync_pipe.get(), line.data(), line.size()); });
  if (sent < 0) start_.sync_pipe.close();
}

void ContainerMonitor::observe_end() {
  append_if_possible(trace_, [&] {
    HopRecord record = observe_process(Hop::monitor, Moment::after_exit);
    if (ended_) record.ended = ended_->describe();
    return record;
  });
}

// Waits for the command, and for whatever else is left to this process: a container's zombies hold its
// namespaces.
int ContainerMonitor::run_exit_command() try {
  if (!options_.exit_command || !runtime_started_) return 0;
  attach_.reset();
  control_.reset();
  window_.reset();
  notify_.reset();
  start_.log.reset();
  wait_out_delay();
  // What the command starts may be meant to stay, and is nobody's here to wait for: a restarted container's
  // monitor, say.
  check(::prctl(PR_SET_CHILD_SUBREAPER, 0), "prctl PR_SET_CHILD_SUBREAPER");
  oom_score_.restore();
  std::vector<std::string> words{*options_.exit_command};
  words.insert(words.end(), options_.exit_command_args.begin(), options_.exit_command_args.end());
  const HandOver next = hand_over_to_exit_command(start_.arrival.environment, words);
  const pid_t cleaner = depart(next, mask_before_, Trace()).pid;  // no part of the chain
  int result = 0;
  int raw = 0;
  for (pid_t child = 0; (child = retry([&] { return ::waitpid(-1, &raw, 0); })) > 0;) {
    if (child == cleaner) result = WaitStatus(raw).exit_status();
  }
  return result;
} catch (const std::exception& error) {
  log::warn("{}", error.what());
  return never_there;
}

void ContainerMonitor::wait_out_delay() {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(options_.exit_delay.value_or(0));
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return;
    pollfd signalled{signals_.native_handle(), POLLIN, 0};
    (void)!::poll(&signalled, 1, static_cast<int>(std::min<long>(left, INT_MAX)));
    while (read_signal(signals_.native_handle()) != 0) {
    }
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace

int watch_container(ContainerStart start) { return ContainerMonitor(std::move(start)).run(); }

}  // namespace fdchain
