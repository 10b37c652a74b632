#pragma once

#include <sys/types.h>

#include <csignal>
#include <functional>

namespace fdchain {

/// A process beside this one that cleans up in its place should it be killed.
///
/// It holds nothing of this process's but the memory it was forked with, is in a session of its own, and no
/// signal but SIGKILL ends it. When this object goes there is nothing more to take care of, and it ends.
class Caretaker {
 public:
  /// From now on; `clean_up` runs in the other process, once this one has died. Made before anything that it
  /// is to remove, so that there is no moment without it.
  explicit Caretaker(std::function<void()> clean_up);
  ~Caretaker();
  Caretaker(const Caretaker&) = delete;
  Caretaker& operator=(const Caretaker&) = delete;

 private:
  pid_t pid_ = 0;
};

}  // namespace fdchain
