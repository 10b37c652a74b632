// A client's connection to a payload that runs already, in the chain or on the host.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::bench {

/// A running payload, and a TCP connection to it that has been answered once.
///
/// Where there are two processors, all services run on one and the client on the other: which of them shares
/// one with its client would else be chance. Both run with real-time priority where that is allowed.
class Served {
 public:
  /// `command` serves 127.0.0.1 at `port`.
  Served(const std::vector<std::string>& command, int port);
  ~Served();
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  /// Seconds for one byte to come back, on average of some in a row.
  [[nodiscard]] double latency() const;

  /// Seconds for a byte to come back, of many that are sent at once.
  [[nodiscard]] double seconds_per_byte() const;

 private:
  pid_t pid_ = 0;
  OwnedFd client_;
};

/// What `count` chains alive take of memory, in kB of PSS, by program. Each has a socket of its own and has
/// answered a client.
std::map<std::string, long> memory_of_chains(int count);

}  // namespace fdchain::bench
