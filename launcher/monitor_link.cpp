#include "launcher/monitor_link.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/program/log.h"
#include "fdchain/protocol/start_pipe.h"
#include "fdchain/system/handshake.h"
#include "fdchain/system/processes.h"
#include "fdchain/system/signals.h"
#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

constexpr std::array relayed_signals{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

}  // namespace

MonitorLink::MonitorLink() {
  SignalFd signals = receive_signals(relayed_signals);
  mask_before_ = signals.mask_before;
  signals_.assign(signals.fd.release());
}

void MonitorLink::connect(OwnedFd sync_pipe, OwnedFd start_pipe, pid_t monitor) {
  sync_pipe_.assign(sync_pipe.release());
  start_pipe_ = std::move(start_pipe);
  monitor_ = monitor;
  relay_signals();
  listen();
}

pid_t MonitorLink::start_payload() {
  say(encode(StartMessage{StartMessage::Kind::go}));
  const auto message = next_message();
  if (!message) monitor_died("the payload ran");
  if (message->data >= 0) return message->data;
  throw Failure(message->message.value_or("the monitor failed without a word"),
                message->status.value_or(exit_status::hop_failed));
}

SyncMessage MonitorLink::wait_for_end() {
  const auto message = next_message();
  if (!message) monitor_died("it could tell the payload's exit status");
  // The run is over when the monitor is: nothing of it shall be there when our own exit is seen.
  while (!closed_) io_.run_one();
  return *message;
}

void MonitorLink::end_payload() {
  say(encode(StartMessage{StartMessage::Kind::signal, SIGKILL}));
  while (!closed_) io_.run_one();
}

void MonitorLink::leave() { say(encode(StartMessage{StartMessage::Kind::leave})); }

void MonitorLink::say(std::uint8_t byte) {
  const char character = static_cast<char>(byte);
  if (start_pipe_ && !send_message(start_pipe_, {&character, 1})) start_pipe_.close();
}

void MonitorLink::relay_signals() {
  signals_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    while (const int number = read_signal(signals_.native_handle())) {
      log::debug("relaying {}", number);
      relayed_.set(static_cast<std::size_t>(number));
      say(encode(StartMessage{StartMessage::Kind::signal, number}));
    }
    relay_signals();
  });
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

void MonitorLink::monitor_died(const std::string& before) {
  // It led a session, and what it started is in there.
  end_session(monitor_);
  throw Failure("monitor (pid " + std::to_string(monitor_) + ") died before " + before);
}

}  // namespace fdchain
