#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <map>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// Calls a handler whenever a descriptor that is shared with other processes can be read.
///
/// An epoll of its own inside asio's: asio sets O_NONBLOCK on everything it waits for, and that flag belongs
/// to the open file description, which systemd and every hop hold too.
class SharedReadiness {
 public:
  using Handler = std::function<void()>;

  explicit SharedReadiness(boost::asio::io_context& io);

  /// Watches `fd`, which stays the caller's.
  void add(int fd, Handler handler);
  void remove(int fd);

  /// Pauses and resumes a descriptor without forgetting its handler.
  void pause(int fd) { modify(fd, false); }
  void resume(int fd) { modify(fd, true); }

  /// Whether any of them can be read at this moment.
  [[nodiscard]] bool any_ready() const;

 private:
  void modify(int fd, bool readable);
  void wait();
  void dispatch();

  std::map<int, Handler> handlers_;
  boost::asio::posix::stream_descriptor epoll_;
};

}  // namespace fdchain
