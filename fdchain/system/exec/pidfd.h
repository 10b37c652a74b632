#pragma once

#include <sys/syscall.h>
#include <unistd.h>

namespace fdchain {

/// pidfd_open(2), close-on-exec as the kernel makes it. A bare system call, fit for the child side:
/// glibc 2.36 declares its wrapper without C linkage, so that C++ cannot link it.
inline int open_pidfd(pid_t pid) noexcept { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

/// pidfd_send_signal(2): 0, or -1 with errno. What has ended gets nothing, whoever has its number now.
inline int signal_pidfd(int pidfd, int signal) noexcept {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

/// pidfd_getfd(2): another process's descriptor, close-on-exec as the kernel makes it; or -1 with errno.
inline int copy_descriptor(int pidfd, int number) noexcept {
  return static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, number, 0));
}

}  // namespace fdchain
