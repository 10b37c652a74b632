#pragma once

#include "fdchain/system/arrival.h"

namespace fdchain {

/// The sockets this hop has been given, by the rules every hop shares:
///
/// - nothing announced: none. Announced to another process: none, and a warning, as sd_listen_fds(3) ignores
/// them;
/// - announced wrongly, or not open: throws Failure, since whoever announced them expects them to arrive.
///
/// The `preserve_fds` descriptors after the sockets have to be open too. To be called before this process
/// opens anything: later, a number that was announced wrongly could be a descriptor of our own, and pass (as
/// in runc's issue 5474).
ListenEnv accept_announcement(const Arrival& arrival, int preserve_fds);

}  // namespace fdchain
