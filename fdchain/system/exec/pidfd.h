#pragma once

#include <sys/syscall.h>
#include <unistd.h>

namespace fdchain {

/// pidfd_open(2), close-on-exec as the kernel makes it. A bare system call, fit for the child side:
/// glibc 2.36 declares its wrapper without C linkage, so that C++ cannot link it.
inline int open_pidfd(pid_t pid) noexcept { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace fdchain
