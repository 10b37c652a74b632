#pragma once

#include <cstddef>
#include <string>

#include "fdchain/system/owned_fd.h"

namespace fdchain::test {

/// Waits for records to appear in a trace that others write.
class TraceWatch {
 public:
  /// Creates the file, empty.
  explicit TraceWatch(std::string path);

  /// Returns when `text` is there `count` times; throws when it does not get there within the deadline.
  void wait_for(const std::string& text, std::size_t count) const;

 private:
  std::string path_;
  OwnedFd inotify_;
};

}  // namespace fdchain::test
