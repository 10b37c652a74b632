#pragma once

#include <string>
#include <vector>

#include "fdchain/model/environment.h"
#include "payload/options.h"

namespace fdchain {

/// A descriptor to serve, lent for as long as the service runs.
struct Source {
  int fd = -1;
  std::string name;
};

/// Sends back whatever any source receives, all of them at once, until a signal, --once, --idle-timeout, or
/// until there is nothing left to serve. Returns the exit status.
///
/// A source is a listening or connected stream or seqpacket socket, a datagram socket or a FIFO; what a FIFO
/// says goes to stdout, since it has no way back. Of other kinds it says that they are not served. Sources
/// are shared with the activator and every hop, so not even O_NONBLOCK is changed of what several may wait
/// for; a connected one is this service's alone to serve, and becomes non-blocking.
int serve_echo(const std::vector<Source>& sources, const PayloadOptions& options,
               const Environment& environment);

}  // namespace fdchain
