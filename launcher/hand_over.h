#pragma once

#include <vector>

#include "fdchain/plan/hand_over.h"
#include "fdchain/system/arrival.h"
#include "fdchain/system/handshake.h"
#include "fdchain/system/listening_socket.h"
#include "launcher/options.h"

namespace fdchain {

/// What the launcher has to hand over: what came with it, what it opened, and the handshake.
struct Sockets {
  ListenEnv inherited;
  std::vector<Opened> opened;

  [[nodiscard]] int count() const { return inherited.count + static_cast<int>(opened.size()); }
};

/// What the monitor will get: the sockets at 3 … n+2, inherited ones first; then what --preserve-fds asks
/// for; then the monitor's ends of the sync pipe and the start pipe.
HandOver hand_over_to_monitor(const RunOptions& options, const Arrival& arrival, const Sockets& sockets,
                              const SocketPair& sync, const SocketPair& start);

}  // namespace fdchain
