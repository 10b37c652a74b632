#pragma once

#include <vector>

#include "fdchain/plan/edits/profile.h"
#include "fdchain/system/trace/arrival.h"

namespace fdchain {

/// The sockets this hop has been given, by the rules every hop shares:
///
/// - nothing announced: none. Announced to another process, or to none: none, and a warning, as
/// sd_listen_fds(3) ignores them;
/// - announced wrongly, or not open: throws Failure, since whoever announced them expects them to arrive.
///
/// The `preserve_fds` descriptors after the sockets have to be open too. To be called before this process
/// opens anything: later, a number that was announced wrongly could be a descriptor of our own, and pass (as
/// in runc's issue 5474).
ListenEnv accept_announcement(const Arrival& arrival, int preserve_fds);

/// Warns of LISTEN_FDNAMES that do not count the sockets. They are passed on as they came, as by podman.
void warn_of_names(const ListenEnv& sockets);

/// What a hop takes for the next program.
struct AcceptedFds {
  ListenEnv sockets;
  int preserved = 0;      ///< after them
  int preserve_fds = 0;   ///< of its command line
  std::vector<int> free;  ///< with a profile: numbers that it keeps and at which nothing was open
  int kept_end = 0;       ///< one past the last number that it keeps
};

/// What of `kept` is there, in a hop that was started with `open`.
AcceptedFds accept_kept(const FdRange& kept, const Announcement& announcement, const FdTable& open);

/// The same, as this hop's profile would have it: `arrival.window` and `arrival.held` are what it keeps then.
/// `handshake` are descriptors of the hop before that are nobody's strays.
AcceptedFds accept_as(const Profile* profile, Arrival& arrival, int preserve_fds,
                      std::span<const int> handshake);

}  // namespace fdchain
