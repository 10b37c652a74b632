#pragma once

#include <sys/types.h>

namespace fdchain {

/// Goes on as two processes: returns the other one's pid in the one that called, and 0 in the new one.
///
/// For a monitor that leaves its caller's foreground: no exec follows, so the new process may do whatever
/// this one might. Of the two, the one that ends first must end with leave_at_once().
pid_t split_process();

/// Ends this process without what is done at a normal exit, which is the other process's to do.
[[noreturn]] void leave_at_once(int status) noexcept;

}  // namespace fdchain
