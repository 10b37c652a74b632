// What a child does between fork and exec, as values that can be printed, compared and edited.
#pragma once

#include <limits>
#include <string>

namespace fdchain {

/// What `make` can make.
enum class NewFd : int { directory, file, pipe, socket, eventfd, epoll };

/// One thing the child does on its way to exec. Numbers only, so that the child can read it safely; what they
/// mean is said by the function that makes it: a descriptor, a pid, a signal, milliseconds.
struct Step {
  enum class Kind : int {
    new_session,
    die_with_parent,
    die_with_outer_parent,
    lift,
    place,
    keep,
    seal,
    close,
    set_cloexec,
    set_nonblock,
    shut_down,
    make,
    ignore_signal,
    reset_signals,
    limit_nofile,
    deny_sockets,
    wait,
    stop,
    name_pid,
    name_pidfdid,
    observe,
    own_mounts,
    mount_proc,
    enter_root,
    change_directory,
    tell_ready,
    unblock,
    exec,
  };

  /// setsid(2): leave the caller's session and terminal.
  static constexpr Step new_session() { return Step(Kind::new_session); }

  /// PR_SET_PDEATHSIG SIGKILL; `parent` must still be there.
  static constexpr Step die_with_parent(int parent) { return {Kind::die_with_parent, parent}; }

  /// The same for a parent in another pid namespace.
  static constexpr Step die_with_outer_parent(int pidfd) { return {Kind::die_with_outer_parent, pidfd}; }

  /// Copy `source` out of the way, close-on-exec.
  static constexpr Step lift(int source, int target) { return {Kind::lift, source, target}; }

  /// Copy `source` to where the next program will find it.
  static constexpr Step place(int source, int target) { return {Kind::place, source, target}; }

  /// Let `fd` live through exec where it is.
  static constexpr Step keep(int fd) { return {Kind::keep, fd, fd}; }

  /// Make the numbers from `first` to `last`, both included, close-on-exec.
  static constexpr Step seal(int first, int last) { return {Kind::seal, first, last}; }
  static constexpr Step seal_from(int first) { return seal(first, std::numeric_limits<int>::max()); }

  static constexpr Step close(int fd) { return {Kind::close, fd}; }

  static constexpr Step set_cloexec(int fd) { return {Kind::set_cloexec, fd}; }

  /// Set O_NONBLOCK, for every process that shares it.
  static constexpr Step set_nonblock(int fd) { return {Kind::set_nonblock, fd}; }

  /// shutdown(2) for reading and writing.
  static constexpr Step shut_down(int fd) { return {Kind::shut_down, fd}; }

  /// Make something new, inheritable, at the number `target`.
  static constexpr Step make(NewFd made, int target) { return {Kind::make, static_cast<int>(made), target}; }

  static constexpr Step ignore(int signal) { return {Kind::ignore_signal, signal}; }

  /// Let every signal do what it does by default.
  static constexpr Step reset_signals() { return Step(Kind::reset_signals); }

  /// Lower RLIMIT_NOFILE.
  static constexpr Step limit_nofile(int limit) { return {Kind::limit_nofile, limit}; }

  /// Have the kernel refuse accept(2), getsockopt(2) and getsockname(2) from here on.
  static constexpr Step deny_sockets() { return Step(Kind::deny_sockets); }

  /// Do nothing for so long, to widen a race.
  static constexpr Step wait(int milliseconds) { return {Kind::wait, milliseconds}; }

  /// SIGSTOP itself, for a debugger.
  static constexpr Step stop() { return Step(Kind::stop); }

  /// Write this process's number into LISTEN_PID, or into the pid variable of this index.
  static constexpr Step name_pid(int variable = -1) { return {Kind::name_pid, variable}; }

  /// Write its pidfd's inode into LISTEN_PIDFDID.
  static constexpr Step name_pidfdid() { return Step(Kind::name_pidfdid); }

  /// Take down what this process holds now, for the trace.
  static constexpr Step observe() { return Step(Kind::observe); }

  /// A mount namespace of its own, which still hears of the host's changes.
  static constexpr Step own_mounts() { return Step(Kind::own_mounts); }

  /// Mount the /proc of this process's pid namespace, where FsView says.
  static constexpr Step mount_proc() { return Step(Kind::mount_proc); }

  /// pivot_root(2) to the directory that FsView names, and let go of the old root.
  static constexpr Step enter_root() { return Step(Kind::enter_root); }

  /// chdir(2) to where FsView says.
  static constexpr Step change_directory() { return Step(Kind::change_directory); }

  /// Say on this descriptor that only exec is left to do.
  static constexpr Step tell_ready(int fd) { return {Kind::tell_ready, fd}; }

  /// Restore the signal mask of before the fork.
  static constexpr Step unblock() { return Step(Kind::unblock); }

  /// execve(2).
  static constexpr Step exec() { return Step(Kind::exec); }

  Kind kind;
  int source;
  int target;

  friend bool operator==(const Step&, const Step&) = default;

 private:
  constexpr explicit Step(Kind what) : Step(what, -1) {}
  constexpr Step(Kind what, int from, int to = -1) : kind(what), source(from), target(to) {}
};

/// `a directory (/)`, `an eventfd`.
std::string to_string(NewFd made);

/// The step in a few words: `place 7 -> 3`.
std::string to_string(const Step& step);

/// A step with the reason for it, as `launcher dry-run` prints it.
struct PlannedStep {
  Step step;
  std::string why;

  friend bool operator==(const PlannedStep&, const PlannedStep&) = default;
};

}  // namespace fdchain
