#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace fdchain {

/// Directories that were made for a path. They are removed again, where they are empty, unless it is said
/// that they are to stay.
class MadeDirectories {
 public:
  MadeDirectories() = default;
  MadeDirectories(MadeDirectories&&) = default;
  MadeDirectories(const MadeDirectories&) = delete;
  MadeDirectories& operator=(const MadeDirectories&) = delete;
  ~MadeDirectories();

  /// Makes what is missing above `path` with exactly this mode, as systemd's DirectoryMode= does. Throws
  /// std::system_error naming the directory.
  void make_parents(const std::string& path, mode_t mode);

  void keep() { made_.clear(); }

 private:
  std::vector<std::string> made_;
};

}  // namespace fdchain
