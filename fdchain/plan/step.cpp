#include "fdchain/plan/step.h"

#include <limits>

namespace fdchain {

std::string to_string(NewFd made) {
  switch (made) {
    case NewFd::directory: return "a directory (/)";
    case NewFd::file: return "a file";
    case NewFd::pipe: return "a pipe";
    case NewFd::socket: return "a socket";
    case NewFd::eventfd: return "an eventfd";
    case NewFd::epoll: return "an epoll";
  }
  return "?";
}

std::string to_string(const Step& step) {
  using enum Step::Kind;
  const std::string source = std::to_string(step.source);
  const std::string arrow = source + " -> " + std::to_string(step.target);
  switch (step.kind) {
    case new_session: return "new-session";
    case die_with_parent: return "die-with-parent";
    case die_with_outer_parent: return "die-with-outer-parent";
    case lift: return "lift " + arrow;
    case place: return "place " + arrow;
    case keep: return "keep " + source;
    case seal: {
      const bool open_ended = step.target == std::numeric_limits<int>::max();
      return "seal " + source + (open_ended ? " and above" : " to " + std::to_string(step.target));
    }
    case close: return "close " + source;
    case set_cloexec: return "set-cloexec " + source;
    case set_nonblock: return "set-nonblock " + source;
    case shut_down: return "shut-down " + source;
    case make:
      return "make " + to_string(static_cast<NewFd>(step.source)) + " at " + std::to_string(step.target);
    case ignore_signal: return "ignore-signal " + source;
    case reset_signals: return "reset-signals";
    case limit_nofile: return "limit-nofile " + source;
    case deny_sockets: return "deny-sockets";
    case wait: return "wait " + source + " ms";
    case stop: return "stop";
    case name_pid: return "name-pid";
    case name_pidfdid: return "name-pidfdid";
    case observe: return "observe";
    case own_mounts: return "own-mounts";
    case mount_proc: return "mount-proc";
    case enter_root: return "enter-root";
    case change_directory: return "change-directory";
    case tell_ready: return "tell-ready on " + source;
    case unblock: return "unblock";
    case exec: return "exec";
  }
  return "?";
}

}  // namespace fdchain
