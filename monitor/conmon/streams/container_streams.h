#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/protocol/attach.h"
#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/system/fd/owned_fd.h"
#include "monitor/conmon/streams/attach_server.h"
#include "monitor/conmon/streams/console.h"
#include "monitor/conmon/streams/container_log.h"
#include "monitor/conmon/streams/control.h"
#include "monitor/conmon/streams/input_queue.h"
#include "monitor/shared/output_pipe.h"

namespace fdchain {

/// All that goes into a container and comes out of it: its stdio or its terminal, its logs, the clients that
/// are attached, and the FIFOs for orders about these.
///
/// What the container says waits for its log and for its clients; nothing else does.
class ContainerStreams {
 public:
  /// Opens what the options ask for. Where stdio is passed through, or without a bundle, nobody can attach.
  ContainerStreams(boost::asio::io_context& io, const ConmonOptions& options, const std::string& bundle,
                   std::unique_ptr<ContainerLog> log);
  ContainerStreams(const ContainerStreams&) = delete;
  ContainerStreams& operator=(const ContainerStreams&) = delete;

  /// Whether the container's stdio is the caller's, and nothing of it comes by here.
  [[nodiscard]] bool passthrough() const { return log_->passthrough(); }

  /// Where the runtime is to send the terminal; empty without one.
  [[nodiscard]] std::string console_path() const { return console_ ? console_->path() : ""; }

  /// Lent: what the runtime gets as 0, 1 and 2; nothing where those of this process are passed through.
  [[nodiscard]] std::optional<std::vector<int>> for_runtime() const;

  /// The runtime has been started with them. They are closed here, and its output is read from now on.
  void start();

  /// The runtime has ended: a terminal that it has sent is there, and is taken over.
  void accept_pending_terminal();

  /// The runtime has failed: all it had to say about it on stderr, up to a megabyte.
  std::string last_words();

  /// The container runs: what has been kept back of stderr goes where it belongs, and so does the rest.
  void release_stderr();

  /// The container has ended: reads what is left of its output, and finishes the log.
  void finish_log();

  /// Lets go of the clients, once they have what there is for them.
  void finish_clients();

 private:
  void open_stdio();
  void open_channels(const std::string& bundle);
  void take_terminal(OwnedFd terminal);
  void take_output(AttachStream stream, std::string_view bytes);
  void keep_or_pass_on(std::string_view stderr_bytes);
  void pass_on(AttachStream stream, std::string_view bytes);
  void hold_output_if_pressed();
  void wait_for_log();
  bool take_input(std::string_view bytes);
  void end_input();
  void obey(const ControlMessage& message);
  void resize(int rows, int columns) const;

  boost::asio::io_context& io_;
  const ConmonOptions& options_;
  std::unique_ptr<ContainerLog> log_;
  boost::asio::posix::stream_descriptor log_room_{io_};
  bool waits_for_log_ = false;
  OutputPipe stdout_{io_, [this](std::string_view bytes) { take_output(AttachStream::out, bytes); }};
  OutputPipe stderr_{io_, [this](std::string_view bytes) { take_output(AttachStream::err, bytes); }};
  InputQueue stdin_{io_, [this] {
                      if (attach_) attach_->resume_input();
                    }};
  std::vector<OwnedFd> for_runtime_;  ///< until the runtime has them
  bool keeps_stderr_ = true;          ///< it is the runtime's until that has ended
  bool passes_on_ = false;            ///< there is more of it than is kept
  std::string kept_stderr_;
  std::optional<Console> console_;
  std::optional<AttachServer> attach_;
  std::optional<ControlFifo> control_;
  std::optional<ControlFifo> window_;
};

}  // namespace fdchain
