#pragma once

#include <sys/types.h>

#include <optional>
#include <set>

namespace fdchain {

/// What a followed process has come to. It stands still until it is told to go on.
struct Happening {
  enum class Kind {
    exec,    ///< it has become a program, has what it was given, and has done nothing yet
    fork,    ///< it has begun another process, which has done nothing yet
    ending,  ///< it is about to end, and still has all that it held
    ended,   ///< it is gone, and nothing is to be told to it
  };
  Kind kind = Kind::exec;
  pid_t pid = 0;
  int status = 0;   ///< of one that is ending or has ended: as waitpid(2) tells it
  pid_t child = 0;  ///< of a fork: who was begun
};

/// Follows a process and whatever it and its offspring start, by ptrace(2), and has each stand still where it
/// can be looked at. With the follower's process the following ends, and everybody goes on.
class Follower {
 public:
  /// Throws when the process cannot be followed: it is traced by somebody else, or the kernel refuses.
  explicit Follower(pid_t pid);

  /// What has happened next; nothing when all go on, or nobody is left. Never waits: SIGCHLD tells that
  /// something may have happened. Takes the statuses of this process's own children too.
  std::optional<Happening> next();

  /// Has the process go on, and follows it further.
  void go_on(const Happening& seen);

  /// Has the process go on unfollowed.
  void let_go(const Happening& seen);

  /// Has everybody go on unfollowed, each with the signal that is on its way to it: one that is lost could be
  /// the SIGCHLD that a monitor waits for. Waits a second at most; nothing is told any more.
  void let_all_go();

 private:
  std::set<pid_t> threads_;  ///< that are followed
};

}  // namespace fdchain
