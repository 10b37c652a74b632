// Process 1 of a pid namespace, seen from outside it.
#pragma once

#include <sys/types.h>

namespace fdchain {

/// Whether a process catches, ignores, blocks or waits for a signal; true when it is gone.
bool minds_signal(pid_t pid, int number);

/// Whether the signal would end `pid` if it were any other process.
bool would_end_process_1(pid_t pid, int number);

/// Sends `pid`, process 1 of a pid namespace, a signal as to any other process: one that would end it, and
/// that it neither catches nor ignores nor blocks, does end it. The kernel would drop that one. Returns
/// whether it was such a signal; the process then dies of SIGKILL instead.
bool signal_process_1(pid_t pid, int number);

}  // namespace fdchain
