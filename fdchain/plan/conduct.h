// What a hop does around its hand-over, as lists that can be printed and edited like the steps of a plan.
#pragma once

#include <string>
#include <vector>

#include "fdchain/model/hop.h"

namespace fdchain {

/// What the launcher does once its monitor runs.
enum class AfterFork {
  reap_intermediate,  ///< of the double fork
  drop_sockets,       ///< close our copies: a socket held here would outlive the payload's
};

/// What the monitor does with a signal for the payload.
enum class OnSignal {
  forward,       ///< send it on
  open_eventfd,  ///< open a descriptor and forget it; no healthy hop does
};

/// What the monitor does when the payload has ended, and a hop when the next program could not be started.
enum class AtEnd {
  end_leftovers,    ///< kill and reap what the payload left running
  drain_log,        ///< write what is still in its output pipes, and sync the log
  drop_sockets,     ///< close our copies of the passed sockets
  remove_names,     ///< remove the paths and queues that were made for this run
  write_exit_file,  ///< publish the status to whoever looks
  tell_status,      ///< publish the status to the hop before
  tell_failure,     ///< tell the hop before why the payload never ran
};

std::string to_string(AfterFork step);
std::string to_string(OnSignal step);
std::string to_string(AtEnd step);

/// A hop's whole conduct.
struct Conduct {
  std::vector<AfterFork> after_fork;
  std::vector<OnSignal> on_signal;
  std::vector<AtEnd> after_exit;
  std::vector<AtEnd> after_failed_start;

  friend bool operator==(const Conduct&, const Conduct&) = default;
};

/// The conduct that keeps the promises: nothing of the run is left, and no socket is held, when the status
/// can be seen. A restart that waits for the status finds its address free.
Conduct ideal_conduct(Hop hop);

}  // namespace fdchain
