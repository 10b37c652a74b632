#include "monitor/native/supervisor.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/variables.h"
#include "fdchain/plan/edits/fault.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/program/observed.h"
#include "fdchain/protocol/start_pipe.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/observe_process.h"
#include "fdchain/system/proc/processes.h"
#include "fdchain/system/proc/self.h"
#include "monitor/shared/event_loop.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;

// SIGCHLD is for the monitor; the others are for the payload, to which it passes them on.
sigset_t handled_signals() {
  sigset_t set = signals_to_relay();
  ::sigaddset(&set, SIGCHLD);
  return set;
}

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

Supervisor::Supervisor(const MonitorOptions& options, Arrival arrival, AskedEdits asked, AcceptedFds accepted,
                       Caller& caller)
    : options_(options),
      arrival_(std::move(arrival)),
      asked_(std::move(asked)),
      accepted_(std::move(accepted)),
      caller_(caller),
      trace_(arrival_.environment),
      made_names_(take_note_of_names(options)) {
  if (has_children()) spared_ = children_of_this_process();
  check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
  SignalFd signals = receive_signals(handled_signals());
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
  if (!options_.exit_file.empty()) check_replaceable("--exit-file", options_.exit_file);
  if (options_.log.kind == LogTarget::Kind::k8s_file) log_.emplace(io_, options_.log.path);
  start_runtime();
  watch_signals();
  checkpoint(arrival_.environment, Hop::monitor, Moment::after_fork);
  if (log_) log_->start();
  watch_start_pipe();
  watch_runtime();
  arm_timeout();
  run_event_loop(io_);
  if (ran_) checkpoint(arrival_.environment, Hop::monitor, Moment::after_exit);
  return finish(ran_ ? conduct_.after_exit : conduct_.after_failed_start);
}

HopPlan Supervisor::plan_start(const OwnedFd& runtime_sync, const OwnedFd& null) const {
  RuntimeStart start;
  const ListenEnv& sockets = accepted_.sockets;
  start.received = {arrival_.environment, sockets.count,
                    sockets.fdnames,      sockets.has_pidfdid && observe_self().pidfdid.has_value(),
                    accepted_.preserved,  pid_variables_naming(arrival_.environment, ::getpid())};
  start.program =
      find_hop(options_.runtime.front(), arrival_.environment.get("PATH").value_or(standard_path));
  start.command = options_.runtime;
  start.sync_source = runtime_sync.get();
  start.sync_target = options_.runtime_sync_fd;
  start.monitor_pid = ::getpid();
  const int input = options_.no_stdin ? null.get() : STDIN_FILENO;
  if (log_)
    start.stdio = {input, log_->stdout_end().get(), log_->stderr_end().get()};
  else if (options_.log.kind == LogTarget::Kind::none)
    start.stdio = {input, null.get(), null.get()};
  else if (options_.no_stdin)
    start.stdio = {input, STDOUT_FILENO, STDERR_FILENO};
  HopPlan plan{hand_over_to_runtime(start), ideal_conduct(Hop::monitor)};
  edit_plan(plan, arrival_, asked_, accepted_, {0, options_.replace_listen_pid});
  return plan;
}

void Supervisor::start_runtime() {
  SocketPair sync;
  if (options_.runtime_sync_fd >= 0) sync = make_socket_pair();
  OwnedFd null;
  if (options_.no_stdin || options_.log.kind == LogTarget::Kind::none) null = open_dev_null();
  const HopPlan plan = plan_start(sync.theirs, null);
  conduct_ = plan.conduct;
  runtime_ = depart(plan.next, mask_before_, trace_).pid;
  payload_.emplace(runtime_);
  log::debug("{} runs with pid {}", plan.next.program, runtime_);
  std::error_code unknown;  // then every process that is seen counts as the payload
  if (trace_.on()) runtime_exe_ = std::filesystem::canonical(plan.next.program, unknown);
  // Whoever waits for the end of a preserved pipe waits for the payload, not for this process.
  OwnedRange(accepted_.sockets.end(), accepted_.preserved).close();
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
  // What there is, without waiting: a process that the runtime has left may hold the other end for ever.
  ssize_t got = 0;
  while (true) {
    got = retry([&] { return ::recv(runtime_sync_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT); });
    if (got <= 0) break;
    heard_.emplace_back(buffer.data(), static_cast<std::size_t>(got));
    if (const auto message = decode_sync_message(heard_.back()))
      obey_runtime(*message);
    else
      log::warn("a message on the runtime's sync pipe that is none: {}", heard_.back());
  }
  if (got < 0) return;  // its end is not closed yet
  runtime_sync_.close();
  if (runtime_ready_ && !runtime_failed_) payload_runs();
}

// 0: only exec is left to do. A pid likewise, and the payload is another process: the first of a pid
// namespace.
void Supervisor::obey_runtime(const SyncMessage& message) {
  if (runtime_failed_) return;
  if (message.data < 0) {
    runtime_failed_ = message;
    return;
  }
  if (message.data > 0) {
    if (!is_of_this_run(message.data)) return distrust_runtime(message.data);
    if (message.data != payload_->pid()) payload_ = Payload::process_1(message.data);
  }
  runtime_ready_ = true;
}

bool Supervisor::is_of_this_run(pid_t pid) const {
  return is_child(pid) && std::ranges::find(spared_, pid) == spared_.end();
}

// To signal a process that is not this one's child could hit anybody, and its end would never be told here.
void Supervisor::distrust_runtime(pid_t named) {
  SyncMessage failure;
  failure.status = exit_status::hop_failed;
  failure.message = "monitor: runtime-shim (pid " + std::to_string(runtime_) + ") named process " +
                    std::to_string(named) + " as the payload, which is no child of this monitor";
  runtime_failed_ = failure;
  if (!runtime_reaped_) ::kill(runtime_, SIGKILL);
}

void Supervisor::payload_runs() {
  if (ran_) return;
  ran_ = true;
  observe_payload();
  caller_.tell({payload_->pid(), std::nullopt, std::nullopt, std::nullopt, false});
  // The payload has its own copies; a reader of the launcher's stdout must not wait for this process. stderr
  // is kept for what may go wrong with the log, for as long as the launcher is there.
  point_at_dev_null({STDIN_FILENO, STDOUT_FILENO});
  for (const int number : std::exchange(waiting_signals_, {})) kill_payload(number);
  checkpoint(arrival_.environment, Hop::monitor, Moment::running);
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
  kill_payload(SIGTERM);
  log::warn("the launcher has gone; ending the payload");
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
  siginfo_t next{};
  for (; ::waitid(P_ALL, 0, &next, WEXITED | WNOHANG | WNOWAIT) == 0 && next.si_pid > 0; next = {}) {
    const pid_t child = next.si_pid;
    // A payload beside its runtime has been named before it could end, but perhaps not been heard of yet; and
    // it is known for a child only until it is reaped.
    if (child != payload_->pid() || child == runtime_) hear_runtime();
    int raw = 0;
    if (::waitpid(child, &raw, WNOHANG) != child) break;
    const WaitStatus status(raw);
    log::debug("pid {} {}", child, status.describe());
    if (child == payload_->pid()) payload_->set_ended(status);
    runtime_reaped_ |= child == runtime_;
  }
  conclude();
}

void Supervisor::conclude() {
  if (!payload_->has_ended()) return;
  hear_runtime();
  // A runtime beside its payload may still have to say why that could not be invoked.
  const bool has_more_to_say = runtime_sync_ && is_beside_payload();
  if (has_more_to_say || !payload_->has_ended()) return;
  // Whoever else may hold the other end: it cannot be the runtime.
  if (runtime_ready_ && !runtime_failed_) payload_runs();
  io_.stop();
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
  signal_came_ = true;
  for (const OnSignal step : conduct_.on_signal) {
    switch (step) {
      case OnSignal::forward: forward(number); break;
      case OnSignal::open_eventfd: (void)!::eventfd(0, EFD_CLOEXEC); break;
    }
  }
  observe_myself(Moment::running);
}

// A signal for the payload is not for the runtime, which it would end with a status that is not the
// payload's. SIGKILL is nobody's to wait with.
void Supervisor::forward(int number) {
  if (ran_ || number == SIGKILL) return kill_payload(number);
  log::debug("signal {} waits for the payload", number);
  waiting_signals_.push_back(number);
}

void Supervisor::kill_payload(int number) {
  if (!payload_ || payload_->has_ended()) return;
  // It may be another process by now than the one this monitor has heard of.
  hear_runtime();
  payload_->signal(number);
  look_at_payload_in_time();
}

void Supervisor::look_at_payload_in_time() {
  if (payload_->next_look() == no_deadline) return;
  look_.expires_at(payload_->next_look());
  look_.async_wait([this](auto error) {
    if (error) return;
    payload_->look_again();
    look_at_payload_in_time();
  });
}

// The payload as it stands after its exec, for which it need do nothing itself.
void Supervisor::observe_payload() {
  if (!trace_.on()) return;
  auto record = observe_other(payload_->pid(), Hop::payload, Moment::running, Hop::monitor, observe_fds());
  // A runtime that said it was ready and then failed is not the payload.
  if (record && record->exe != runtime_exe_) append_if_possible(trace_, [&] { return std::move(*record); });
}

void Supervisor::observe_myself(Moment moment) {
  append_if_possible(trace_, [&] {
    HopRecord record = observe_process(Hop::monitor, moment);
    if (moment != Moment::after_exit) return record;
    record.heard = heard_;
    look_at_queues();
    record.queues = queues_;
    if (payload_ && payload_->has_ended()) record.ended = payload_->ended()->describe();
    record.children = observe_children();
    return record;
  });
}

// A fault that was asked for and could not be made shows nothing: whoever asked for it is told.
void Supervisor::tell_missed_faults() const {
  if (asked_.faults.empty()) return;
  RunFacts facts{ran_, signal_came_, false};
  for (const pid_t child : children_of_this_process())
    facts.leftovers |= std::ranges::find(spared_, child) == spared_.end();
  for (const std::string& sentence : untriggered(asked_.faults, facts)) log::warn("--fault {}", sentence);
}

int Supervisor::finish(std::span<const AtEnd> steps) {
  end_runtime();
  tell_missed_faults();
  end_of_run().carry_out(steps);
  return ran_ ? last_message().data : failure().status.value_or(exit_status::hop_failed);
}

EndOfRun Supervisor::end_of_run() {
  return {.end_leftovers = [this] { end_leftovers(); },
          .drain_log =
              [this] {
                if (log_) log_->drain();
              },
          .drop_sockets = [this] { drop_sockets(); },
          .remove_names = [this] { made_names_.clear(); },
          .write_exit_file = [this] { write_exit_file(); },
          .tell_status = [this] { caller_.tell(last_message()); },
          .tell_failure = [this] { caller_.pass_on_failure(failure()); },
          .last_look = [this] { observe_myself(Moment::after_exit); }};
}

void Supervisor::look_at_queues() {
  if (trace_.on() && queues_.empty()) queues_ = observe_queues(arrival_);
}

void Supervisor::drop_sockets() {
  look_at_queues();
  arrival_.window.close();
  arrival_.held.clear();
}

// One beside its payload has nothing left to do, and is no leftover, but may not have gone yet.
void Supervisor::end_runtime() {
  if (!ran_ || !is_beside_payload() || std::exchange(runtime_reaped_, true)) return;
  ::kill(runtime_, SIGKILL);
  fdchain::reap(runtime_);
}

void Supervisor::end_leftovers() const {
  const int ended = end_all_children(spared_);
  // The usual reason is a daemon that goes into the background, and is told so here.
  if (ended > 0 && ran_)
    log::warn("the payload has ended and left {}; ended too",
              ended == 1 ? "a process running" : std::to_string(ended) + " processes running");
}

// Why the payload never ran.
SyncMessage Supervisor::failure() const {
  if (runtime_failed_) return *runtime_failed_;
  SyncMessage message;
  const std::string runtime = "monitor: runtime-shim (pid " + std::to_string(payload_->pid()) + ") ";
  message.status = timed_out_ ? exit_status::timed_out : exit_status::hop_failed;
  message.message = runtime +
                    (timed_out_ ? "was killed: --timeout " + std::to_string(options_.timeout) + " is over"
                                : payload_->ended()->describe()) +
                    " before it became the payload";
  return message;
}

void Supervisor::write_exit_file() const try {
  if (options_.exit_file.empty()) return;
  write_file_atomically(options_.exit_file, std::to_string(last_message().data), "--exit-file", Durable::yes);
} catch (const std::exception& error) {
  print_error(Hop::monitor, error.what());  // the launcher still gets the status
}

SyncMessage Supervisor::last_message() const {
  if (timed_out_) return {exit_status::timed_out, std::nullopt, std::nullopt, std::nullopt, true};
  const WaitStatus status = payload_->status();
  const int signal = status.signal();
  return {status.exit_status(), std::nullopt, std::nullopt,
          signal == 0 ? std::nullopt : std::optional(signal), false};
}

}  // namespace fdchain
