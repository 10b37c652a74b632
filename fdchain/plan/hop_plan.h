// One hop's whole plan, and what the hop knows when a fault or a profile edits it.
#pragma once

#include <vector>

#include "fdchain/model/environment.h"
#include "fdchain/plan/conduct.h"
#include "fdchain/plan/hand_over.h"

namespace fdchain {

/// Everything about a hop that can be edited.
struct HopPlan {
  HandOver next;
  Conduct conduct;
};

/// What a hop knows when its plan is edited.
struct HopContext {
  Environment arrived;      ///< the environment it was started with
  int pid = 0;              ///< its own
  int sockets = 0;          ///< how many it passes on
  int preserved = 0;        ///< how many descriptors after them
  std::vector<int> strays;  ///< descriptors it was started with that nobody announced
  // For profiles, whose reading of all this may be another one:
  int own_sockets = 0;         ///< how many of the sockets this hop has opened itself
  int preserve_fds = 0;        ///< of its command line
  bool announced = false;      ///< LISTEN_* announce sockets to this process
  int announced_count = 0;     ///< then, how many
  bool names_me = false;       ///< LISTEN_PID names this process, or is to be taken so
  int kept_end = 0;            ///< one past the last number that it keeps
  std::vector<int> free = {};  ///< the numbers below that at which it was started with nothing
  Environment config = {};     ///< the payload's LISTEN_* by configuration
};

}  // namespace fdchain
