#pragma once

#include <string>
#include <vector>

#include "fdchain/model/environment.h"
#include "fdchain/model/listen_env.h"

namespace fdchain {

/// What a service learns when it adopts its sockets.
struct Adoption {
  int result = 0;  ///< how many, or what sd_listen_fds(3) returns instead: 0, or -errno
  int with_names =
      0;  ///< the same of sd_listen_fds_with_names(3), which refuses names that do not count them
  std::vector<std::string> names;  ///< one each when with_names is positive, `unknown` where none was given
  std::string problem;  ///< why there are none, or no names, for people; empty when nothing is announced

  friend bool operator==(const Adoption&, const Adoption&) = default;
};

/// Adopts the sockets of LISTEN_FDS as sd_listen_fds(3) does: sets them close-on-exec, and, to the
/// same degree in the same order, stops at what is wrong. Does not touch the environment.
Adoption adopt_listen_fds(const Environment& environment, const Self& self);

}  // namespace fdchain
