#include "launcher/native/monitor_link.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <utility>

#include "fdchain/program/log.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/processes.h"

namespace fdchain {
namespace {

// How much longer than it should take a hop may take for its part, before it is given up.
constexpr auto grace = std::chrono::seconds(10);

[[noreturn]] void throw_failure(const SyncMessage& told) {
  throw Failure(told.message.value_or("the monitor failed without a word"),
                told.status.value_or(exit_status::hop_failed));
}

}  // namespace

MonitorLink::MonitorLink() {
  SignalFd signals = receive_signals(signals_to_relay());
  mask_before_ = signals.mask_before;
  signals_.assign(signals.fd.release());
  if (has_children()) came_with_ = spared_ = children_of_this_process();
  // Whatever a monitor leaves that dies too soon becomes ours, to be ended and waited for.
  check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl PR_SET_CHILD_SUBREAPER");
}

void MonitorLink::spare(pid_t child) {
  came_with_.push_back(child);
  spared_.push_back(child);
}

void MonitorLink::connect(OwnedFd sync_pipe, OwnedFd start_pipe, const Spawned& monitor, int timeout) {
  sync_pipe_.assign(sync_pipe.release());
  start_pipe_.assign(start_pipe.release());
  monitor_ = monitor.pid;
  spared_.push_back(monitor.intermediate);
  relay_signals();
  listen();
  if (timeout == 0) return;
  deadline_.expires_after(std::chrono::seconds(timeout) + grace);
  deadline_.async_wait([this, timeout](auto error) {
    if (error) return;
    give_up("--timeout " + std::to_string(timeout) + " is over, and 10 seconds later monitor (pid " +
                std::to_string(monitor_) + ") had not ended the run",
            exit_status::timed_out);
  });
}

pid_t MonitorLink::start_payload() {
  say({StartMessage::Kind::go});
  const auto message = next_message();
  if (!message) monitor_died("the payload ran");
  payload_runs_ = message->data > 0;
  if (payload_runs_) return message->data;
  wait_for_monitor();
  throw_failure(*message);
}

SyncMessage MonitorLink::wait_for_end() {
  const auto message = next_message();
  if (!message) monitor_died("it could tell the payload's exit status");
  // The run is over when the monitor is: nothing of it shall be there when our own exit is seen.
  wait_for_monitor();
  if (message->data < 0) throw_failure(*message);
  if (given_up_) log::warn("{}; the payload's status had come by then", given_up_->what());
  if (message->data > UINT8_MAX)
    throw Failure("the monitor told an exit status that is none: " + std::to_string(message->data));
  return *message;
}

void MonitorLink::end_payload() {
  say({StartMessage::Kind::signal, SIGKILL});
  heed(SIGKILL);
  wait_for_monitor();
}

// Lost, it would cost the payload its life: a launcher that goes without it has died.
void MonitorLink::leave() {
  say({StartMessage::Kind::leave});
  while (!unsaid_.empty() && !closed_) io_.run_one();
  if (given_up_) throw Failure(*given_up_);
}

// A monitor may stand still, and this process must not with it. What there is no room for waits here, and of
// a signal that waits already one is enough, as in the kernel; only real-time signals count.
void MonitorLink::say(const StartMessage& message) {
  const char byte = static_cast<char>(encode(message));
  const bool is_counted = message.kind == StartMessage::Kind::signal && message.signal >= SIGRTMIN;
  if (!is_counted && unsaid_.find(byte) != std::string::npos) return;
  unsaid_ += byte;
  if (unsaid_.size() == 1) say_what_waits();
}

void MonitorLink::say_what_waits() {
  std::size_t said = 0;
  auto sent = Sent::yes;
  while (said < unsaid_.size() && start_pipe_.is_open()) {
    sent = send_at_once(start_pipe_.native_handle(), {&unsaid_[said], 1});
    if (sent != Sent::yes) break;
    ++said;
  }
  unsaid_.erase(0, said);
  if (sent == Sent::nobody_there) start_pipe_.close();
  if (!start_pipe_.is_open()) return unsaid_.clear();
  if (unsaid_.empty()) return;
  start_pipe_.async_wait(boost::asio::posix::stream_descriptor::wait_write, [this](auto error) {
    if (!error) say_what_waits();
  });
}

void MonitorLink::relay_signals() {
  signals_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    while (const int number = read_signal(signals_.native_handle())) {
      log::debug("relaying {}", number);
      relayed_.set(static_cast<std::size_t>(number));
      heed(number);
      say({StartMessage::Kind::signal, number});
    }
    relay_signals();
  });
}

// A process that stands still cannot say so itself.
bool MonitorLink::leaves_words_unread() {
  int bytes = 0;
  return !unsaid_.empty() ||
         (start_pipe_.is_open() && ::ioctl(start_pipe_.native_handle(), SIOCOUTQ, &bytes) == 0 && bytes > 0);
}

// Whoever asks for the end gets it: the payload may have its reasons to go on, a hop has none to stand still.
void MonitorLink::heed(int number) {
  if (!asks_for_end(number) && number != SIGKILL) return;
  if (answer_due_ && leaves_words_unread()) return;
  answer_due_ = true;
  answer_.expires_after(grace);
  answer_.async_wait([this, number](auto error) {
    if (!error) look_for_answer(number);
  });
}

void MonitorLink::look_for_answer(int asked_to_end) {
  answer_due_ = false;
  const std::string monitor = "monitor (pid " + std::to_string(monitor_) + ")";
  const std::string asked = "signal " + std::to_string(asked_to_end) + " came, and 10 seconds later ";
  const int status = exit_status::by_signal + asked_to_end;
  if (!payload_runs_)
    give_up(asked + "neither " + monitor + " nor its runtime-shim had said that the payload runs", status);
  else if (leaves_words_unread())
    give_up(asked + monitor + " had not read it", status);
}

// Kills the monitor, stopped or not. What it leaves is this process's to end, as with one that dies.
void MonitorLink::give_up(const std::string& why, int status) {
  given_up_.emplace(why + "; killed", status);
  ::kill(monitor_, SIGKILL);
  closed_ = true;  // whoever else may hold the other end
}

void MonitorLink::listen() {
  sync_pipe_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](auto error) {
    std::array<char, sync_message_max> buffer{};
    const ssize_t got =
        error ? 0 : retry([&] { return ::read(sync_pipe_.native_handle(), buffer.data(), buffer.size()); });
    if (got <= 0) {
      closed_ = true;
      return;
    }
    heard_.emplace_back(buffer.data(), static_cast<std::size_t>(got));
    message_ = decode_sync_message({buffer.data(), static_cast<std::size_t>(got)});
    if (!message_) log::warn("a message on the sync pipe that is none");
    listen();
  });
}

// The monitor's next word, or nothing when it has closed its end without one.
std::optional<SyncMessage> MonitorLink::next_message() {
  while (!message_ && !closed_) io_.run_one();
  return std::exchange(message_, std::nullopt);
}

void MonitorLink::wait_for_monitor() {
  // For its end, not for that of its pipe, which comes a moment earlier and would be one more thing to be
  // woken for. Then its children are ours.
  bool ended = false;
  boost::asio::posix::stream_descriptor end(io_, check(open_pidfd(monitor_), "pidfd_open"));
  end.async_wait(boost::asio::posix::stream_descriptor::wait_read, [&](auto) { ended = true; });
  while (!ended) io_.run_one();
  answer_.cancel();
  deadline_.cancel();
  reap(monitor_);
  // Whatever it has left, in whatever session and as whatever user: nobody, when all went well.
  end_all_children(spared_);
  while (!closed_) io_.run_one();  // its last words
}

void MonitorLink::monitor_died(const std::string& before) {
  // Not reaped yet, so the number is still its own. It may have closed its pipe and live on.
  int status = 0;
  const bool ended = retry([&] { return ::waitpid(monitor_, &status, WNOHANG); }) == monitor_;
  if (ended) {
    end_all_children(spared_);
  } else {
    ::kill(monitor_, SIGKILL);
    wait_for_monitor();
  }
  if (given_up_) throw Failure(*given_up_);
  // Another program than ours, as a rule.
  const std::string how = ended && WIFEXITED(status)
                              ? ") exited with status " + std::to_string(WEXITSTATUS(status)) + " before "
                              : ") died before ";
  throw Failure("monitor (pid " + std::to_string(monitor_) + how + before);
}

}  // namespace fdchain
