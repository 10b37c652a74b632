// What a child does between fork and exec, as values that can be printed, compared and edited.
#pragma once

#include <string>

namespace fdchain {

/// One thing the child does on its way to exec. Numbers only, so that the child can read it safely.
struct Step {
  enum class Kind : int {
    new_session,            ///< setsid(2): leave the caller's session and terminal
    die_with_parent,        ///< PR_SET_PDEATHSIG SIGKILL; `source` is the parent that must still be there
    die_with_outer_parent,  ///< the same for a parent in another pid namespace; `source` is its pidfd
    lift,                   ///< copy `source` out of the way, to `target`, close-on-exec
    place,                  ///< copy `source` to `target`, where the next program will find it
    keep,                   ///< let `source` live through exec where it is
    seal,                   ///< make the numbers from `source` to `target`, both included, close-on-exec
    close,                  ///< close `source`
    set_cloexec,            ///< make `source` close-on-exec
    set_nonblock,           ///< set O_NONBLOCK on `source`, for every process that shares it
    shut_down,              ///< shutdown(2) `source` for reading and writing
    make,                   ///< make something new, of the kind `source`, inheritable, at the number `target`
    ignore_signal,          ///< ignore signal `source`
    reset_signals,          ///< let every signal do what it does by default
    limit_nofile,           ///< lower RLIMIT_NOFILE to `source`
    deny_sockets,      ///< have the kernel refuse accept(2), getsockopt(2) and getsockname(2) from here on
    wait,              ///< do nothing for `source` milliseconds, to widen a race
    stop,              ///< SIGSTOP itself, for a debugger
    name_pid,          ///< write this process's number into LISTEN_PID, or into the variable `source`
    name_pidfdid,      ///< write its pidfd's inode into LISTEN_PIDFDID
    observe,           ///< take down what this process holds now, for the trace
    own_mounts,        ///< a mount namespace of its own, which still hears of the host's changes
    mount_proc,        ///< mount the /proc of this process's pid namespace, where Place says
    enter_root,        ///< pivot_root(2) to the directory that Place names, and let go of the old root
    change_directory,  ///< chdir(2) to where Place says
    tell_ready,        ///< say on descriptor `source` that only exec is left to do
    unblock,           ///< restore the signal mask of before the fork
    exec,              ///< execve(2)
  };

  Kind kind{};
  int source = -1;
  int target = -1;

  friend bool operator==(const Step&, const Step&) = default;
};

/// What `make` can make.
enum class Made : int { directory, file, pipe, socket, eventfd, epoll };

/// `a directory (/)`, `an eventfd`.
std::string to_string(Made made);

/// The step in a few words: `place 7 -> 3`.
std::string to_string(const Step& step);

/// A step with the reason for it, as `launcher dry-run` prints it.
struct PlannedStep {
  Step step;
  std::string why;

  friend bool operator==(const PlannedStep&, const PlannedStep&) = default;
};

}  // namespace fdchain
