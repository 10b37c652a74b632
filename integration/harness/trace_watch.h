#pragma once

#include <cstddef>
#include <string>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::test {

/// Waits for records to appear in a trace that others write.
class TraceWatch {
 public:
  /// Creates the file, empty.
  explicit TraceWatch(std::string path);

  /// Waits until `text` is there `count` times; false when the process `until` has ended before. Throws when
  /// neither happens within the deadline.
  bool wait_for(const std::string& text, std::size_t count, pid_t until) const;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  OwnedFd inotify_;
};

}  // namespace fdchain::test
