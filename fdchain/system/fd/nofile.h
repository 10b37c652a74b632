// Room to open one more descriptor, for an observer that must not fail where the observed process would.
#pragma once

#include <sys/resource.h>

namespace fdchain {

/// Raises RLIMIT_NOFILE to its hard limit for as long as it lives; does nothing where that is refused.
class RaisedNofile {
 public:
  RaisedNofile() noexcept;
  ~RaisedNofile();
  RaisedNofile(const RaisedNofile&) = delete;
  RaisedNofile& operator=(const RaisedNofile&) = delete;

  /// The limit that will hold again afterwards.
  [[nodiscard]] const rlimit& before() const { return before_; }

 private:
  rlimit before_{};
  bool raised_ = false;
};

}  // namespace fdchain
