#pragma once

#include <array>
#include <boost/asio.hpp>
#include <string>
#include <string_view>

#include "fdchain/protocol/k8s_log.h"
#include "fdchain/system/owned_fd.h"

namespace fdchain {

/// Writes what the payload says on stdout and stderr to a k8s-file log.
///
/// Owns the log file, and the pipes' read ends. A log that cannot be written any more is said once, and the
/// payload's output is then read and dropped: a full disk, or a FIFO whose reader is slow, must not stop the
/// service.
class OutputLog {
 public:
  /// Opens the file for appending. Throws std::system_error, or Failure for a FIFO that nobody reads.
  OutputLog(boost::asio::io_context& io, std::string path);

  /// The ends the payload gets as stdout and stderr.
  [[nodiscard]] const OwnedFd& stdout_end() const { return streams_[0].theirs; }
  [[nodiscard]] const OwnedFd& stderr_end() const { return streams_[1].theirs; }

  /// Closes the payload's ends here, and starts reading ours.
  void start();

  /// Reads what is left, without waiting for more, and syncs the file.
  void drain();

 private:
  struct Stream {
    explicit Stream(boost::asio::io_context& io, std::string_view name);
    std::string_view name;
    OwnedFd theirs;
    boost::asio::posix::stream_descriptor ours;
    std::array<char, k8s_read_size> buffer{};
  };

  void read(Stream& stream);
  void write(const Stream& stream, std::size_t size);

  std::string path_;
  OwnedFd file_;
  bool broken_ = false;
  std::array<Stream, 2> streams_;
};

}  // namespace fdchain
