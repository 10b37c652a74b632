#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// A container's stdin: takes what attached clients say, and writes it as fast as it is read.
class InputQueue {
 public:
  /// `emptied` is called whenever all that had to wait has been written.
  InputQueue(boost::asio::io_context& io, std::function<void()> emptied);

  /// Where to write to; what came before is written now. What is written to a terminal while nobody has it
  /// open is lost.
  void open(OwnedFd end);

  /// False when some of it has to wait.
  bool write(std::string_view bytes);

  /// Closes the container's stdin as soon as everything has been written.
  void end();

 private:
  void flush();

  std::function<void()> emptied_;
  boost::asio::posix::stream_descriptor end_;
  std::string pending_;
  bool ends_ = false;
  bool gone_ = false;
  bool waiting_ = false;
};

}  // namespace fdchain
