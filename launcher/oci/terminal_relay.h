#pragma once

#include <poll.h>

#include <vector>

#include "fdchain/plan/hand_over.h"
#include "fdchain/system/fd/flow.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// Stands between a terminal and a container that must not have it: through a terminal that is passed on, a
/// container could type into its caller's shell, and conmon refuses to pass one.
///
/// For each of 0, 1 and 2 that is a terminal, and for no other, there is a pipe; bytes are carried by move().
/// Nobody is waited for: a terminal that has been stopped (^S) holds up its bytes alone.
class TerminalRelay {
 public:
  /// With nothing to relay when `wanted` is false.
  explicit TerminalRelay(bool wanted);

  /// The pipes' other ends, at 0, 1 and 2 of the next program.
  [[nodiscard]] std::vector<FdPass> passed() const;

  /// The next program has them: from now on their ends can be seen.
  void close_theirs();

  /// What to wait for, added to the caller's own.
  void add_to(std::vector<pollfd>& waiting) const;

  /// Carries what there is, as far as it is taken.
  void move();

  /// Nothing more will come: takes in what is left in the pipes. From now on there is output to carry alone.
  void take_rest();

  /// Whether there is nothing more to carry.
  [[nodiscard]] bool is_done() const;

 private:
  struct Stream {
    int number = -1;   ///< 0, 1 or 2
    OwnedFd terminal;  ///< opened anew, so that nobody waits for it
    OwnedFd ours;
    OwnedFd theirs;
    Flow flow;

    [[nodiscard]] bool is_input() const { return number == 0; }
  };

  static void carry(Stream& stream);

  std::vector<Stream> streams_;
};

}  // namespace fdchain
