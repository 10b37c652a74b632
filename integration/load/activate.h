// The activator of the load campaign: it listens, as systemd does, and stays.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "fdchain/system/socket/listening_socket.h"

namespace fdchain::load {

/// Sockets that chains are started with, again and again, and that outlive every chain.
class Activator {
 public:
  /// `addresses` are in the words of --listen. Chains work in `directory`.
  Activator(const std::vector<std::string>& addresses, std::string directory);

  /// Starts `launcher ARGUMENTS…` with the sockets, as a child of this process, which has to reap it.
  [[nodiscard]] pid_t activate(const std::vector<std::string>& arguments, int out = -1) const;

  /// Whether somebody waits at one of the sockets.
  [[nodiscard]] bool has_work() const;

  [[nodiscard]] const std::vector<Opened>& sockets() const { return sockets_; }

 private:
  std::vector<Opened> sockets_;
  std::string directory_;
};

}  // namespace fdchain::load
