#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <string>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// Relays what a container says on BUNDLE/notify/notify.sock to the host's notify socket, as far as it
/// concerns the service's state.
class NotifyRelay {
 public:
  NotifyRelay(boost::asio::io_context& io, const std::string& bundle, std::string host_socket);

  /// Relays what has been said already; for the end of the container.
  void relay_all();

 private:
  void listen();
  bool relay();

  std::string host_socket_;
  OwnedFd host_;
  boost::asio::posix::stream_descriptor socket_;
};

}  // namespace fdchain
