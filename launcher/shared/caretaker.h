#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// A process beside this one that cleans up in its place should it be killed.
///
/// It holds nothing of this process's but the memory it was forked with, is in a session of its own, and no
/// signal but SIGKILL ends it. When this object goes there is nothing more to take care of, and it ends.
class Caretaker {
 public:
  using Notes = std::vector<std::string>;

  /// From now on; `clean_up` runs in the other process, once this one has died, with what it has been told.
  /// Made before anything that it is to remove.
  explicit Caretaker(std::function<void(const Notes&)> clean_up);
  ~Caretaker();
  Caretaker(const Caretaker&) = delete;
  Caretaker& operator=(const Caretaker&) = delete;

  /// Tells it of something that could not be known before, as soon as it is there.
  void tell(std::string_view what) const;

 private:
  OwnedFd link_;
  pid_t pid_ = 0;
};

}  // namespace fdchain
