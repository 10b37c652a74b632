#pragma once

#include <boost/asio/io_context.hpp>
#include <string>
#include <string_view>

#include "fdchain/system/fd/owned_fd.h"
#include "monitor/shared/output_pipe.h"

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
  [[nodiscard]] const OwnedFd& stdout_end() const { return stdout_end_; }
  [[nodiscard]] const OwnedFd& stderr_end() const { return stderr_end_; }

  /// Closes the payload's ends here, and starts reading ours.
  void start();

  /// Reads what is left, without waiting for more, and syncs the file.
  void drain();

 private:
  void write(std::string_view stream, std::string_view bytes);

  std::string path_;
  OwnedFd file_;
  bool broken_ = false;
  OutputPipe stdout_;
  OutputPipe stderr_;
  OwnedFd stdout_end_;
  OwnedFd stderr_end_;
};

}  // namespace fdchain
