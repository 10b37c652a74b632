#pragma once

#include <sys/types.h>

namespace fdchain {

/// What fcntl(2), fstat(2) and getsockopt(2) tell of a descriptor, wherever they were asked.
struct RawRow {
  int number = -1;
  int fd_flags = 0;
  int status_flags = 0;
  dev_t device = 0;
  ino_t inode = 0;
  mode_t mode = 0;
  int listening = -1;  ///< SO_ACCEPTCONN; -1 where it was not asked, or is no socket's
};

}  // namespace fdchain
