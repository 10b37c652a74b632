#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/plan/edits/asked.h"
#include "fdchain/program/announcement.h"
#include "fdchain/program/caller.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/proc/payload.h"
#include "fdchain/system/socket/listening_socket.h"
#include "fdchain/system/trace/arrival.h"
#include "fdchain/system/trace/trace_file.h"
#include "monitor/native/options.h"
#include "monitor/native/output_log.h"
#include "monitor/shared/end_of_run.h"

namespace fdchain {

/// The monitor's life: starts the runtime, watches it become the payload, and cleans up after it.
///
/// Runs in the monitor, on one thread. While the payload runs it waits in one epoll_wait(2), without a
/// timeout unless --timeout was given.
class Supervisor {
 public:
  /// Takes the sockets over, and becomes the subreaper of whatever the payload will leave.
  Supervisor(const MonitorOptions& options, Arrival arrival, AskedEdits asked, AcceptedFds accepted,
             Caller& caller);

  /// Waits for the launcher's first word. False when the launcher has gone instead.
  bool wait_for_go(OwnedFd start_pipe);

  /// Runs the payload to its end and returns the exit status that was published. Throws Failure when the
  /// payload could not be started.
  int run();

 private:
  HopPlan plan_start(const OwnedFd& runtime_sync, const OwnedFd& null) const;
  void start_runtime();
  void watch_runtime();
  void hear_runtime();
  void obey_runtime(const SyncMessage& message);
  [[nodiscard]] bool is_of_this_run(pid_t pid) const;
  [[nodiscard]] bool is_beside_payload() const { return payload_->pid() != runtime_; }
  void distrust_runtime(pid_t named);
  void payload_runs();
  void watch_start_pipe();
  void obey(std::uint8_t byte);
  void launcher_gone();
  void watch_signals();
  void reap();
  void conclude();
  void arm_timeout();
  void pass_on_signal(int number);
  void forward(int number);
  void kill_payload(int number);
  void look_at_payload_in_time();
  void tell_missed_faults() const;
  int finish(std::span<const AtEnd> steps);
  [[nodiscard]] EndOfRun end_of_run();
  void look_at_queues();
  void drop_sockets();
  void write_exit_file() const;
  void end_runtime();
  void end_leftovers() const;
  [[nodiscard]] SyncMessage failure() const;
  void observe_payload();
  void observe_myself(Moment moment);
  [[nodiscard]] SyncMessage last_message() const;

  MonitorOptions options_;
  Arrival arrival_;
  AskedEdits asked_;
  AcceptedFds accepted_;
  Caller& caller_;
  Trace trace_;
  FdTable queues_;
  Conduct conduct_;
  bool signal_came_ = false;  ///< for the payload
  std::vector<MadeName> made_names_;

  boost::asio::io_context io_;
  sigset_t mask_before_{};
  boost::asio::posix::stream_descriptor signals_{io_};
  boost::asio::steady_timer timeout_{io_};
  boost::asio::steady_timer grace_{io_};
  boost::asio::steady_timer look_{io_};
  std::optional<boost::asio::posix::stream_descriptor> start_pipe_;
  OwnedFd runtime_sync_;
  boost::asio::posix::stream_descriptor runtime_gone_{io_};
  std::optional<OutputLog> log_;

  std::vector<pid_t> spared_;         ///< children that this process came with; they are not of this run
  std::string runtime_exe_;           ///< of a traced run: what the payload's process ran before its exec
  std::vector<int> waiting_signals_;  ///< that came before there was a payload
  pid_t runtime_ = 0;
  bool runtime_reaped_ = false;
  std::optional<Payload> payload_;  ///< the runtime itself, unless it has named another process
  bool ran_ = false;                ///< the runtime has become the payload, and the caller knows
  bool timed_out_ = false;
  bool runtime_ready_ = false;  ///< it has said that only exec was left to do
  std::optional<SyncMessage> runtime_failed_;
  std::vector<std::string> heard_;  ///< all that the runtime has said
};

}  // namespace fdchain
