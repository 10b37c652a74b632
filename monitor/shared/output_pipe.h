#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string_view>

#include "fdchain/protocol/k8s_log.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// What the payload writes to one of its streams, as it comes: the reading end of a pipe, or of a terminal.
class OutputPipe {
 public:
  using Take = std::function<void(std::string_view bytes)>;

  /// Nothing is open yet. `take` gets every piece that is read.
  OutputPipe(boost::asio::io_context& io, Take take);

  /// Makes a pipe and returns the payload's end of it.
  OwnedFd make();

  /// Reads from a terminal from now on. One that is hung up may be opened again: it is looked at ten times a
  /// second then.
  void adopt(OwnedFd terminal);

  /// Starts reading.
  void start();

  /// Stops reading, or goes on: whoever writes waits meanwhile.
  void hold(bool held);

  /// Reads what is left, without waiting for more, and closes.
  void drain();

  /// The terminal's descriptor, lent; -1 without one.
  [[nodiscard]] int terminal() const { return is_terminal_ ? fd_ : -1; }

 private:
  void read();
  bool read_some();

  Take take_;
  boost::asio::posix::stream_descriptor ours_;
  boost::asio::steady_timer again_;
  int fd_ = -1;
  bool is_terminal_ = false;
  bool held_ = false;
  bool waiting_ = false;
  std::array<char, k8s_read_size> buffer_;
};

}  // namespace fdchain
