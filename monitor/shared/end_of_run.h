#pragma once

#include <functional>
#include <span>

#include "fdchain/plan/conduct.h"

namespace fdchain {

/// The end of a run as a conduct lists it. Each dialect says what a step is to it; one that is left out is
/// none of its own.
struct EndOfRun {
  using Action = std::function<void()>;

  Action end_leftovers;
  Action drain_log;
  Action drop_sockets;
  Action remove_names;
  Action write_exit_file;
  Action tell_status;
  Action tell_failure;

  /// Just before anybody can see the status, and in any case once: what is held then is what a trace says of
  /// the end.
  Action last_look;

  void carry_out(std::span<const AtEnd> steps) const;
};

}  // namespace fdchain
