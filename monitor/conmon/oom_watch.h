#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// Tells when the kernel has killed for want of memory in the cgroup of a process; of either cgroup version.
class OomWatch {
 public:
  /// Where there is no memory controller, or it cannot be watched, nothing is ever told.
  OomWatch(boost::asio::io_context& io, pid_t process, std::function<void()> killed);

  /// Looks once more; for the end of the container, whose cgroup may be gone a moment later.
  void look();

 private:
  void watch_events(const std::string& cgroup);
  void watch_control(const std::string& cgroup);
  void listen();

  std::function<void()> killed_;
  std::string events_;              ///< memory.events, of version 2
  std::uint64_t kills_before_ = 0;  ///< as many as were in `events_` when it was first looked at
  OwnedFd control_;                 ///< memory.oom_control, of version 1
  boost::asio::posix::stream_descriptor wakes_;
};

}  // namespace fdchain
