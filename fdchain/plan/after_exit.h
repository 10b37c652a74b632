#pragma once

#include <array>

namespace fdchain {

/// What the monitor does when the payload has ended, as a list that can be printed and edited.
enum class AfterExit {
  end_leftovers,    ///< kill and reap what the payload left running
  drain_log,        ///< write what is still in its output pipes, and sync the log
  drop_sockets,     ///< close our copies of the passed sockets
  remove_names,     ///< remove the paths and queues that were made for this run
  write_exit_file,  ///< publish the status to whoever looks
  tell_caller,      ///< publish the status to the launcher
};

/// The order that keeps the promises: nothing of the run is left, and no socket is held, when the status can
/// be seen. A restart that waits for the status finds its address free.
inline constexpr std::array ideal_after_exit{AfterExit::end_leftovers,   AfterExit::drain_log,
                                             AfterExit::drop_sockets,    AfterExit::remove_names,
                                             AfterExit::write_exit_file, AfterExit::tell_caller};

/// The same for a payload that never ran: there is no status to publish.
inline constexpr std::array after_failed_start{AfterExit::end_leftovers, AfterExit::drain_log,
                                               AfterExit::drop_sockets, AfterExit::remove_names};

}  // namespace fdchain
