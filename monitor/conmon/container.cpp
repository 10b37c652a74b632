#include "monitor/conmon/container.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
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
#include "fdchain/model/printable.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/plan/edits/fault.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/program/observed.h"
#include "fdchain/protocol/conmon_sync.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/observe_process.h"
#include "fdchain/system/proc/payload.h"
#include "fdchain/system/proc/processes.h"
#include "fdchain/system/trace/trace_file.h"
#include "monitor/conmon/caller.h"
#include "monitor/conmon/exit_command.h"
#include "monitor/conmon/notify_relay.h"
#include "monitor/conmon/oom_score.h"
#include "monitor/conmon/oom_watch.h"
#include "monitor/conmon/streams/container_streams.h"
#include "monitor/shared/end_of_run.h"
#include "monitor/shared/event_loop.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

// What conmon exits with when there was no container, and what it publishes for one that it had to kill.
constexpr int never_there = 1;
constexpr int timed_out_status = -1;

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

std::string_view without_newlines(std::string_view text) {
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

class ContainerMonitor {
 public:
  explicit ContainerMonitor(ContainerStart start);
  int run();

 private:
  void carefully(const std::function<void()>& step);
  void prepare();
  void watch();
  void wait_for_second_go();
  void start_runtime();
  HopPlan plan_runtime();
  void watch_signals();
  void pass_on(int signal);
  void reap();
  void runtime_ended(WaitStatus status);
  std::string what_became_of_runtime(WaitStatus status) const;
  void give_up(const std::string& why);
  void container_runs(pid_t container);
  bool is_left_to_us(pid_t container);
  void send(int signal);
  void container_ended();
  void end_in_time();
  void out_of_memory() const;
  int finish();
  EndOfRun end_of_run();
  void look_at_queues();
  void close_held();
  void publish(const std::string& directory, const std::string& name) const;
  int status() const;
  void observe_end();
  int clean_up();

  ContainerStart start_;
  const ConmonOptions& options_ = start_.options;
  std::string bundle_;
  std::string pidfile_;
  ConmonCaller caller_{std::move(start_.sync_pipe), options_};
  Trace trace_;
  FdTable queues_;
  Conduct conduct_ = ideal_conduct(Hop::monitor);
  OomScore oom_score_;

  asio::io_context io_;
  sigset_t mask_before_{};
  asio::posix::stream_descriptor signals_{io_};
  asio::posix::stream_descriptor go_{io_};
  asio::posix::stream_descriptor stranger_{io_};
  asio::steady_timer timeout_{io_};
  std::optional<ContainerStreams> streams_;
  std::optional<NotifyRelay> notify_;
  std::optional<OomWatch> oom_;

  std::map<pid_t, WaitStatus> ended_early_;  ///< before it was known which of them is the container
  std::optional<std::string> failure_;
  bool runtime_started_ = false;
  pid_t runtime_ = 0;
  std::optional<Payload> container_;
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
        log::tell_syslog(log::Level::error, text);
        caller_.tell_failure("monitor: " + std::string(text));
      });
  close_held();
  caller_.leave();
  const int status = clean_up();
  return status != 0 ? status : result;
}

// Whatever fails once a runtime is at work, its container is not given up for: somebody has to publish its
// end.
void ContainerMonitor::carefully(const std::function<void()>& step) try {
  step();
} catch (const std::exception& error) {
  if (runtime_ == 0 && !container_) throw;
  log::warn("{}", error.what());
}

void ContainerMonitor::watch() {
  while (!io_.stopped()) carefully([&] { run_event_loop(io_); });
}

void ContainerMonitor::prepare() {
  if (options_.sdnotify_socket) notify_.emplace(io_, bundle_, *options_.sdnotify_socket);
  streams_.emplace(io_, options_, bundle_, std::move(start_.log));
  watch_signals();
  if (options_.exec_attach)
    wait_for_second_go();
  else
    start_runtime();
}

void ContainerMonitor::wait_for_second_go() {
  if (!send_message(start_.attach_pipe, encode(ConmonMessage{0, std::nullopt, ConmonMessage::Key::data})))
    start_.attach_pipe.close();
  if (!start_.start_pipe) return start_runtime();
  go_.assign(start_.start_pipe.release());
  go_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    // What cannot be waited for, a file or /dev/null, is at its end.
    if (error == asio::error::operation_aborted) return;
    go_.close();
    start_runtime();
  });
}

HopPlan ContainerMonitor::plan_runtime() {
  OciRuntimeStart start;
  start.environment = start_.arrival.environment;
  start.announced = start_.promised;
  start.command = runtime_command(options_, bundle_, pidfile_, streams_->console_path());
  start.monitor_pid = ::getpid();
  start.name_pid = names_runtime(start.environment, options_);
  start.stdio = streams_->for_runtime();
  HopPlan plan{hand_over_to_oci_runtime(start), conduct_};
  int promised = 0;
  for (const FdPass& range : start_.promised) promised += range.count;
  edit_plan(plan, start_.arrival, asked_edits(start_.arrival.environment), promised, 0);
  return plan;
}

void ContainerMonitor::start_runtime() try {
  runtime_started_ = true;
  // A pid that is left from before would be taken for this container's.
  if (::unlink(pidfile_.c_str()) < 0 && errno != ENOENT) fail(errno, "unlink", pidfile_);
  const HopPlan plan = plan_runtime();
  conduct_ = plan.conduct;
  runtime_ = depart(plan.next, mask_before_, trace_).pid;
  streams_->start();
  if (streams_->passthrough()) point_at_dev_null();
  oom_score_.protect_myself();
  checkpoint(start_.arrival.environment, Hop::monitor, Moment::after_fork);
} catch (const std::exception& error) {
  give_up(error.what());
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
    return give_up(std::string("ended by SIG") + ::sigabbrev_np(signal) + " before the runtime was started");
  }
  if (container_) return send(signal);
  if (runtime_ != 0) ::kill(runtime_, signal);
}

void ContainerMonitor::send(int signal) {
  if (!gone_) container_->signal(signal);
}

void ContainerMonitor::reap() {
  int raw = 0;
  for (pid_t child = 0; (child = ::waitpid(-1, &raw, WNOHANG)) > 0;) {
    const WaitStatus status(raw);
    log::debug("pid {} {}", child, status.describe());
    if (child == runtime_) {
      runtime_ = 0;
      runtime_ended(status);
    } else if (container_ && child == container_->pid()) {
      container_->set_ended(status);
      container_ended();
    } else if (!container_) {
      ended_early_.emplace(child, status);
    }
  }
}

void ContainerMonitor::runtime_ended(WaitStatus status) {
  streams_->accept_pending_terminal();
  std::ifstream file(pidfile_);
  pid_t container = 0;
  const bool made = status == WaitStatus::for_exit_code(0) && file >> container && container > 0;
  if (made) return container_runs(container);
  const std::string words = streams_->last_words();
  if (words.empty()) return give_up(what_became_of_runtime(status));
  log::warn("runtime stderr: {}", printable(without_newlines(words), 1000));
  log::error("Failed to create container: exit status {}", status.exit_status());  // conmon's words
  failure_ = words;  // as it was said: podman looks for words in it
  io_.stop();
}

std::string ContainerMonitor::what_became_of_runtime(WaitStatus status) const {
  const std::string runtime = printable(*options_.runtime) + ' ';
  if (status != WaitStatus::for_exit_code(0)) return runtime + status.describe() + " and said nothing";
  return runtime + "said nothing of the container's pid in " + printable(pidfile_);
}

// There is no container, and none will be.
void ContainerMonitor::give_up(const std::string& why) {
  log::error("{}", printable(why, 1000));
  failure_ = "monitor: " + why;
  io_.stop();
}

void ContainerMonitor::container_runs(pid_t container) {
  const auto early_end = ended_early_.find(container);
  if (early_end == ended_early_.end() && !is_left_to_us(container)) {
    return give_up(printable(*options_.runtime) + " named process " + std::to_string(container) +
                   " as the container's, which is none of this monitor's");
  }
  Payload::Send send;
  if (stranger_.is_open())
    send = [this](int signal) { (void)signal_pidfd(stranger_.native_handle(), signal); };
  container_.emplace(container, std::move(send));
  carefully([&] { streams_->release_stderr(); });
  carefully([&] { oom_.emplace(io_, container, [this] { out_of_memory(); }); });
  caller_.tell_container(container);
  carefully([&] { checkpoint(start_.arrival.environment, Hop::monitor, Moment::running); });
  if (early_end != ended_early_.end()) {
    container_->set_ended(early_end->second);
    return container_ended();
  }
  if (options_.timeout.value_or(0) > 0) end_in_time();
}

// A runtime may leave a process behind that keeps the container as its own child: the end of that one can be
// seen, its status not. Any other process's number is a mistake, and to signal it could hit anybody.
bool ContainerMonitor::is_left_to_us(pid_t container) {
  if (is_child(container)) return true;
  OwnedFd pidfd(open_pidfd(container));
  // Asked when the number is sure to stay with the process that the pidfd is of.
  if (!pidfd || !is_descendant(container)) return false;
  log::warn("the runtime has kept the container's process {} as its own", container);
  stranger_.assign(pidfd.release());
  stranger_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (!error) container_ended();
  });
  return true;
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
    const pid_t group = stranger_.is_open() ? 0 : ::getpgid(container_->pid());
    if (group <= 1 || group == ::getpgrp() || ::kill(-group, SIGKILL) < 0) send(SIGKILL);
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
    caller_.tell_failure(*failure_);
    return never_there;
  }
  if (notify_) notify_->relay_all();
  if (oom_) oom_->look();
  end_of_run().carry_out(conduct_.after_exit);
  return status();
}

// As with conmon, what a container leaves is not this process's to end: without a pid namespace it may be
// meant to stay. Names and failures are the native dialect's.
EndOfRun ContainerMonitor::end_of_run() {
  const auto careful = [this](auto step) { return [this, step] { carefully(step); }; };
  return {.end_leftovers = {},
          .drain_log = careful([this] { streams_->finish_log(); }),
          .drop_sockets = careful([this] {
            look_at_queues();
            close_held();
          }),
          .remove_names = {},
          .write_exit_file = careful([this] {
            publish(options_.persist_dir.value_or(""), "exit");
            publish(options_.exit_dir.value_or(""), *options_.cid);
          }),
          .tell_status = careful([this] { caller_.tell_end(status(), timed_out_); }),
          .tell_failure = {},
          // A client that has its end looks for the status next, so it has to be let go of before.
          .last_look = careful([this] {
            streams_->finish_clients();
            observe_end();
          })};
}

void ContainerMonitor::look_at_queues() {
  if (trace_.on() && queues_.empty()) queues_ = observe_queues(start_.arrival);
}

void ContainerMonitor::close_held() {
  start_.arrival.window.close();
  start_.held.clear();
}

void ContainerMonitor::publish(const std::string& directory, const std::string& name) const try {
  if (!directory.empty())
    write_file_atomically(directory + '/' + name, std::to_string(status()), "exit file", Durable::yes);
} catch (const std::exception& error) {
  log::warn("{}", error.what());
}

int ContainerMonitor::status() const {
  if (timed_out_ || !container_->has_ended()) return timed_out_status;
  return container_->status().exit_status();
}

void ContainerMonitor::observe_end() {
  append_if_possible(trace_, [&] {
    HopRecord record = observe_process(Hop::monitor, Moment::after_exit);
    look_at_queues();
    record.queues = queues_;
    if (container_->has_ended()) record.ended = container_->ended()->describe();
    return record;
  });
}

int ContainerMonitor::clean_up() try {
  if (!options_.exit_command || !runtime_started_) return 0;
  streams_.reset();
  notify_.reset();
  wait_out_exit_delay(options_, signals_.native_handle());
  oom_score_.restore();
  return run_exit_command(options_, start_.arrival.environment, mask_before_);
} catch (const std::exception& error) {
  log::warn("{}", error.what());
  return never_there;
}

}  // namespace

int watch_container(ContainerStart start) { return ContainerMonitor(std::move(start)).run(); }

}  // namespace fdchain
