#pragma once

#include <bitset>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/failure.h"
#include "fdchain/protocol/start_pipe.h"
#include "fdchain/protocol/sync_pipe.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// The launcher's end of the handshake: hears the monitor's words, and relays the signals the launcher gets.
///
/// Made before anything is opened: from then on a signal no longer ends the launcher, but waits to be
/// relayed; and the launcher is a subreaper, so that nothing of a run can outlive it unseen.
class MonitorLink {
 public:
  MonitorLink();

  /// The signal mask of before, for whatever is started from here.
  [[nodiscard]] const sigset_t& mask_before() const { return mask_before_; }

  /// Takes the launcher's ends of both pipes, and the monitor's pid, which is this process's child now. Its
  /// intermediate stays the caller's to reap. `timeout`, in seconds, is the monitor's to keep, 0 for none;
  /// one that does not is given up.
  void connect(OwnedFd sync_pipe, OwnedFd start_pipe, const Spawned& monitor, int timeout);

  /// Lets the payload start. Returns its pid when it runs. Throws Failure with the run's exit status when it
  /// never will, because a hop failed or died.
  pid_t start_payload();

  /// Waits for the payload's end and then the monitor's; returns how the payload ended. Throws Failure when
  /// the monitor died before it could tell, or was given up; all that it has left has been killed and reaped
  /// then.
  SyncMessage wait_for_end();

  /// Kills the payload and waits until nothing of the run is left.
  void end_payload();

  /// Tells the monitor that this launcher will go away, and shall. Throws Failure when it was given up
  /// instead.
  void leave();

  /// Takes a child for one that is not of this run.
  void spare(pid_t child);

  /// Children that are not of this run: the launcher was started with them.
  [[nodiscard]] const std::vector<pid_t>& came_with() const { return came_with_; }

  /// All that the monitor has said so far.
  [[nodiscard]] const std::vector<std::string>& heard() const { return heard_; }

  /// Whether the signal is one that this link has relayed, so that nobody needs to be told of its effect.
  [[nodiscard]] bool has_relayed(int signal) const { return relayed_.test(static_cast<std::size_t>(signal)); }

 private:
  void say(const StartMessage& message);
  void say_what_waits();
  bool leaves_words_unread();
  void relay_signals();
  void listen();
  std::optional<SyncMessage> next_message();
  void wait_for_monitor();
  void heed(int asked_to_end);
  void look_for_answer(int asked_to_end);
  void give_up(const std::string& why, int status);
  [[noreturn]] void monitor_died(const std::string& before);

  boost::asio::io_context io_;
  sigset_t mask_before_{};
  boost::asio::posix::stream_descriptor signals_{io_};
  boost::asio::posix::stream_descriptor sync_pipe_{io_};
  boost::asio::posix::stream_descriptor start_pipe_{io_};
  std::string unsaid_;  ///< bytes for the start pipe that there was no room for
  pid_t monitor_ = 0;
  boost::asio::steady_timer answer_{io_};    ///< to a signal that asks for the end
  boost::asio::steady_timer deadline_{io_};  ///< behind the monitor's own
  bool answer_due_ = false;
  bool payload_runs_ = false;
  std::optional<Failure> given_up_;
  std::vector<pid_t> came_with_;
  std::vector<pid_t> spared_;  ///< children that the monitor has not left to this process
  std::bitset<65> relayed_;
  std::optional<SyncMessage> message_;
  std::vector<std::string> heard_;
  bool closed_ = false;
};

}  // namespace fdchain
