#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <string>
#include <string_view>

namespace fdchain {

/// A FIFO in the bundle on which a caller gives orders, a line each.
class ControlFifo {
 public:
  using Obey = std::function<void(std::string_view line)>;

  /// Makes the FIFO, in the place of one that is left from before. It stays behind at the end, as conmon's
  /// do: podman removes it.
  ControlFifo(boost::asio::io_context& io, const std::string& path, Obey obey);

 private:
  void listen();
  void read();

  Obey obey_;
  std::string line_;
  boost::asio::posix::stream_descriptor fifo_;
};

}  // namespace fdchain
