#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <string>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// The console socket: where the runtime hands over the container's terminal.
class Console {
 public:
  using Take = std::function<void(OwnedFd terminal)>;

  /// Listens in a directory of its own below TMPDIR, so that nobody else can be there before.
  Console(boost::asio::io_context& io, Take take);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  [[nodiscard]] std::string path() const { return directory_ + "/socket"; }

  /// Takes the terminal if it is there already; for when the runtime has ended. One comes at most.
  void accept_pending();

 private:
  void accept();
  void receive();
  void remove();

  Take take_;
  std::string directory_;
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::posix::stream_descriptor connection_;
};

}  // namespace fdchain
