// Bytes carried from one descriptor to another by a process that has something else to do as well.
#pragma once

#include <cstddef>
#include <string>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// Another end of what a caller has at `fd` that does not wait, without changing that for whoever has it,
/// too: opened anew where that is the same thing, as a terminal's controlling end is not: opened anew, it is
/// another terminal's. Of a file or a socket the same description has to do: a small write does not wait.
OwnedFd end_of_callers(int fd, int mode);

/// Bytes on their way from one end to the other. Neither end is waited for, so that a reader who does not
/// read holds up nobody else. Both descriptors are lent.
struct Flow {
  int from;
  int to;
  std::string pending = {};
  bool open = true;        ///< more may come
  bool has_reader = true;  ///< otherwise what comes is dropped, so that the writer goes on

  [[nodiscard]] bool has_room() const;

  /// Takes in what is there, up to a small read; returns how much has come. An error is an end as well: a
  /// terminal's is EIO.
  std::size_t fill();

  /// Writes some of what is pending; whether that was any.
  bool flush();
};

}  // namespace fdchain
