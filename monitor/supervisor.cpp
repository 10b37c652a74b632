#include "monitor/supervisor.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/protocol/start_pipe.h"
#include "fdchain/system/files.h"
#include "fdchain/system/find_program.h"
#include "fdchain/system/memory.h"
#include "fdchain/system/observe.h"
#include "fdchain/system/observe_process.h"
#include "fdchain/system/process_1.h"
#include "fdchain/system/processes.h"
#include "fdchain/system/signals.h"
#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;

// SIGCHLD is for the monitor; the others ask it to end, and it asks the payload instead.
constexpr std::array handled_signals{SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};

// How long a payload may take to end after its launcher has gone; podman stop's default.
constexpr auto grace_period = std::chrono::seconds(10);

void point_at_dev_null(std::initializer_list<int> numbers) {
  const OwnedFd null = open_dev_null();
  for (const int number : numbers) check(::dup2(null.get(), number), "dup2");
}

std::vector<MadeName> take_note_of_names(const MonitorOptions& options) {
  std::vector<MadeName> names;
  for (const std::string& path : options.remove_paths) names.emplace_back(MadeName::Kind::path, path);
  for (const std::string& queue : options.remove_queues)
    names.emplace_back(MadeName::Kind::message_queue, queue);
  return names;
}

}  // namespace

Supervisor::Supervisor(const MonitorOptions& options, Arrival arrival, ListenEnv sockets, Caller& caller)
    : options_(options),
      arrival_(std::move(arrival)),
      sockets_(std::move(sockets)),
      caller_(caller),
      trace_(arrival_.environment),
      made_names_(take_note_of_names(options)) {
  check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
  SignalFd signals = receive_signals(handled_signals);
  mask_before_ = signals.mask_before;
  signals_.assign(signals.fd.release());
}

bool Supervisor::wait_for_go(OwnedFd start_pipe) {
  std::uint8_t byte = 0;
  const ssize_t got = retry([&] { return ::read(start_pipe.get(), &byte, 1); });
  check(got, "read", "start pipe");
  if (got == 0) return false;
  start_pipe_.emplace(io_, start_pipe.release());
  return true;
}

int Supervisor::run() {
  if (options_.log.kind == LogTarget::Kind::k8s_file) log_.emplace(io_, options_.log.path);
  start_runtime();
  watch_signals();
  checkpoint(arrival_.environment, Hop::monitor, Moment::after_fork);
  if (log_) log_->start();
  watch_start_pipe();
  watch_runtime();
  arm_timeout();
  io_.run();
  if (ran_) checkpoint(arrival_.environment, Hop::monitor, Moment::after_exit);
  return finish(ran_ ? conduct_.after_exit : conduct_.after_failed_start);
}

HopPlan Supervisor::plan_start(const OwnedFd& runtime_sync, const OwnedFd& null) const {
  RuntimeStart start;
  start.received = {arrival_.environment, sockets_.count, sockets_.fdnames,
                    sockets_.has_pidfdid && observe_self().pidfdid.has_value(), options_.preserve_fds};
  start.program =
      find_program(options_.runtime.front(), arrival_.environment.get("PATH").value_or(standard_path));
  start.command = options_.runtime;
  start.sync_source = runtime_sync.get();
  start.sync_target = options_.runtime_sync_fd;
  start.monitor_pid = ::getpid();
  if (log_)
    start.stdio = {null.get(), log_->stdout_end().get(), log_->stderr_end().get()};
  else if (null)
    start.stdio = {null.get(), null.get(), null.get()};
  HopPlan plan{hand_over_to_runtime(start), ideal_conduct(Hop::monitor)};
  edit_plan(plan, arrival_, sockets_.count, options_.preserve_fds);
  return plan;
}

void Supervisor::start_runtime() {
  SocketPair sync;
  if (options_.runtime_sync_fd >= 0) sync = make_socket_pair();
  OwnedFd null;
  if (options_.log.kind != LogTarget::Kind::passthrough) null = open_dev_null();
  const HopPlan plan = plan_start(sync.theirs, null);
  conduct_ = plan.conduct;
  payload_ = runtime_ = depart(plan.next, mask_before_, trace_).pid;
  log::debug("{} runs with pid {}", plan.next.program, payload_);
  runtime_sync_ = std::move(sync.ours);
}

// The runtime's copy of the sync pipe closes when it becomes the payload, or dies; what it has said is read
// then.
void Supervisor::watch_runtime() {
  if (!runtime_sync_) return payload_runs();  // nobody is there to say more than that its exec succeeded
  runtime_gone_.assign(watch_for_hang_up(runtime_sync_.get()).release());
  runtime_gone_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    hear_runtime();
    conclude();
  });
}

void Supervisor::hear_runtime() {
  if (!runtime_sync_) return;
  std::array<char, sync_message_max> buffer{};
  ssize_t got = 0;
  while ((got = retry(
              [&] { return ::recv(runtime_sync_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT); })) > 0) {
    const std::string_view said(buffer.data(), static_cast<std::size_t>(got));
    heard_.emplace_back(said);
    if (said == ready_word)
      runtime_ready_ = true;
    else if (auto message = decode_sync_message(said))
      obey_runtime(*message);
    else
      log::warn("a message on the runtime's sync pipe that is none");
  }
  if (got < 0) return;  // its end is not closed yet
  runtime_sync_.close();
  if (runtime_ready_ && !runtime_failed_) payload_runs();
}

// A pid: the payload is another process, in a pid namespace of its own, and ready to exec.
void Supervisor::obey_runtime(const SyncMessage& message) {
  if (message.data <= 0) {
    runtime_failed_ = message;
    return;
  }
  payload_ = message.data;
  runtime_ready_ = true;
}

void Supervisor::payload_runs() {
  if (ran_) return;
  ran_ = true;
  observe_payload();
  caller_.tell({payload_, std::nullopt, std::nullopt, std::nullopt, false});
  // The payload has its own copies; a reader of the launcher's stdout must not wait for this process. stderr
  // is kept for what may go wrong with the log, for as long as the launcher is there.
  point_at_dev_null({STDIN_FILENO, STDOUT_FILENO});
  checkpoint(arrival_.environment, Hop::monitor, Moment::running);
  settle();
}

// A payload that is still there after a moment may stay for months: shrink to what the waiting needs.
void Supervisor::settle() {
  settled_.expires_after(std::chrono::seconds(1));
  settled_.async_wait([](auto error) {
    if (!error) unmap_startup_code();
  });
}

void Supervisor::watch_start_pipe() {
  if (!start_pipe_) return;
  start_pipe_->async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    std::uint8_t byte = 0;
    const ssize_t got = retry([&] { return ::read(start_pipe_->native_handle(), &byte, 1); });
    if (got <= 0) return launcher_gone();
    obey(byte);
    watch_start_pipe();
  });
}

void Supervisor::obey(std::uint8_t byte) {
  const auto message = decode_start_message(byte);
  if (!message) return log::warn("byte {} on the start pipe has no meaning", byte);
  switch (message->kind) {
    case StartMessage::Kind::go: break;
    case StartMessage::Kind::signal: pass_on_signal(message->signal); break;
    case StartMessage::Kind::leave:
      start_pipe_.reset();
      point_at_dev_null({STDERR_FILENO});
      break;
  }
}

// An attached launcher that dies can neither relay a signal nor report the end: the run ends with it.
void Supervisor::launcher_gone() {
  start_pipe_.reset();
  log::warn("the launcher has gone; ending the payload");
  kill_payload(SIGTERM);
  grace_.expires_after(grace_period);
  grace_.async_wait([this](auto error) {
    if (!error) kill_payload(SIGKILL);
  });
}

void Supervisor::watch_signals() {
  signals_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    while (const int number = read_signal(signals_.native_handle())) {
      if (number == SIGCHLD)
        reap();
      else
        pass_on_signal(number);
    }
    watch_signals();
  });
}

void Supervisor::reap() {
  int raw = 0;
  for (pid_t child = 0; (child = ::waitpid(-1, &raw, WNOHANG)) > 0;) {
    const WaitStatus status(raw);
    log::debug("pid {} {}", child, status.describe());
    // A payload beside its runtime has been named before it could end, but perhaps not been heard of yet.
    if (child != payload_ || child == runtime_) hear_runtime();
    if (child == payload_) ended_ = status;
  }
  conclude();
}

void Supervisor::conclude() {
  if (!ended_) return;
  hear_runtime();
  // A runtime beside its payload may still have to say why that could not be invoked.
  const bool has_more_to_say = runtime_sync_ && payload_ != runtime_;
  if (!has_more_to_say) io_.stop();
}

void Supervisor::arm_timeout() {
  if (options_.timeout == 0) return;
  timeout_.expires_after(std::chrono::seconds(options_.timeout));
  timeout_.async_wait([this](auto error) {
    if (error) return;
    timed_out_ = true;
    kill_payload(SIGKILL);
  });
}

void Supervisor::pass_on_signal(int number) {
  for (const OnSignal step : conduct_.on_signal) {
    switch (step) {
      case OnSignal::forward: kill_payload(number); break;
      case OnSignal::open_eventfd: (void)!::eventfd(0, EFD_CLOEXEC); break;
    }
  }
  observe_myself(Moment::running);
}

void Supervisor::kill_payload(int number) {
  // Not reaped before ended_ is set, so the number is still the payload's.
  if (payload_ == 0 || ended_) return;
  // It may be another process by now than the one this monitor has heard of.
  hear_runtime();
  if (payload_ == runtime_)
    ::kill(payload_, number);
  else if (signal_process_1(payload_, number))
    fatal_ = number;
}

// The payload as it stands after its exec, for which it need do nothing itself; and this monitor beside it.
void Supervisor::observe_payload() const {
  if (!trace_.on()) return;
  const auto record = observe_other(payload_, Hop::payload, Moment::running, Hop::monitor, observe_fds());
  if (record) trace_.append(*record);
  observe_myself(Moment::running);
}

void Supervisor::observe_myself(Moment moment) const {
  if (!trace_.on()) return;
  HopRecord record = observe_process(Hop::monitor, moment);
  if (moment == Moment::after_exit) {
    record.heard = heard_;
    if (ended_) record.ended = ended_->describe();
    record.children = observe_children();
  }
  trace_.append(std::move(record));
}

int Supervisor::finish(std::span<const AtEnd> steps) {
  // What is held when the status can first be seen is what the trace says of the end.
  bool observed = false;
  for (const AtEnd step : steps) {
    const bool publishes =
        step == AtEnd::write_exit_file || step == AtEnd::tell_status || step == AtEnd::tell_failure;
    if (publishes && !std::exchange(observed, true)) observe_myself(Moment::after_exit);
    finish(step);
  }
  if (!observed) observe_myself(Moment::after_exit);
  if (ran_) return last_message().data;
  return runtime_failed_ ? runtime_failed_->status.value_or(exit_status::hop_failed)
                         : exit_status::hop_failed;
}

void Supervisor::finish(AtEnd step) {
  switch (step) {
    case AtEnd::end_leftovers: end_all_children(); break;
    case AtEnd::drain_log:
      if (log_) log_->drain();
      break;
    case AtEnd::drop_sockets: arrival_.window.close(); break;
    case AtEnd::remove_names: made_names_.clear(); break;
    case AtEnd::write_exit_file: write_exit_file(); break;
    case AtEnd::tell_status: caller_.tell(last_message()); break;
    case AtEnd::tell_failure: tell_failure(); break;
  }
}

void Supervisor::tell_failure() {
  if (runtime_failed_) return caller_.pass_on_failure(*runtime_failed_);
  caller_.tell_failure("runtime-shim (pid " + std::to_string(payload_) + ") " + ended_->describe() +
                           " before it became the payload",
                       exit_status::hop_failed);
}

void Supervisor::write_exit_file() const try {
  if (options_.exit_file.empty()) return;
  write_file_atomically(options_.exit_file, std::to_string(last_message().data));
} catch (const std::system_error& error) {
  print_error(Hop::monitor, error.what());  // the launcher still gets the status
}

SyncMessage Supervisor::last_message() const {
  if (timed_out_) return {exit_status::timed_out, std::nullopt, std::nullopt, std::nullopt, true};
  const int signal = ended_->signal() == SIGKILL && fatal_ != 0 ? fatal_ : ended_->signal();
  const WaitStatus status = signal == 0 ? *ended_ : WaitStatus::for_signal(signal);
  return {status.exit_status(), std::nullopt, std::nullopt,
          signal == 0 ? std::nullopt : std::optional(signal), false};
}

}  // namespace fdchain
