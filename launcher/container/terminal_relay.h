#pragma once

#include <poll.h>

#include <span>
#include <vector>

#include "fdchain/plan/hand_over.h"
#include "fdchain/system/owned_fd.h"

namespace fdchain {

/// Stands between a terminal and a container that must not have it: through a terminal that is passed on, a
/// container could type into its caller's shell, and conmon refuses to pass one.
///
/// For each of 0, 1 and 2 that is a terminal, and for no other, there is a pipe; bytes are carried by move().
class TerminalRelay {
 public:
  /// With nothing to relay when `wanted` is false.
  explicit TerminalRelay(bool wanted);

  /// The pipes' other ends, at 0, 1 and 2 of the next program.
  [[nodiscard]] std::vector<Passed> passed() const;

  /// The next program has them: from now on their ends can be seen.
  void close_theirs();

  /// What to wait for, added to the caller's own.
  void add_to(std::vector<pollfd>& waiting) const;

  /// Carries what there is.
  void move();

  /// The same, until nothing is left in the pipes.
  void drain();

 private:
  struct Stream {
    int terminal = -1;
    OwnedFd ours;
    OwnedFd theirs;
  };

  bool carry(Stream& stream) const;

  std::vector<Stream> streams_;
};

}  // namespace fdchain
