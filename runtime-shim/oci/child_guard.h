// A process that the runtime has made and waits for.
#pragma once

#include <sys/types.h>

#include <optional>

#include "fdchain/protocol/oci_cli.h"
#include "fdchain/system/trace/arrival.h"
#include "runtime-shim/oci/fork.h"
#include "runtime-shim/oci/interruption.h"
#include "runtime-shim/oci/journal.h"

namespace fdchain::oci {

/// A process being made: killed and reaped if anything goes wrong before it is released.
class ChildGuard {
 public:
  ChildGuard(pid_t pid, OwnedFd pipe, const Interruption& interruption)
      : pid_(pid), pipe_(std::move(pipe)), interruption_(interruption) {}
  ChildGuard(const ChildGuard&) = delete;
  ChildGuard& operator=(const ChildGuard&) = delete;
  ~ChildGuard() {
    if (pid_ > 0) end_child(pid_);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const OwnedFd& pipe() const { return pipe_; }

  /// It lives on, whatever becomes of this; returns the pipe.
  OwnedFd release() {
    pid_ = 0;
    return std::move(pipe_);
  }

  /// The next message that needs an answer. Throws Failure with its reason when there will be none,
  /// or when somebody interrupts.
  [[nodiscard]] StageMessage receive(const Journal& journal) const;

  /// Throws Failure when another message than this comes: the process has died then.
  void receive(StageMessage::Kind kind, const Journal& journal) const;

 private:
  pid_t pid_;
  OwnedFd pipe_;
  const Interruption& interruption_;
};

/// Where the terminal goes: to --console-socket, or to this process, which passes it through.
struct Console {
  OwnedFd ours;  ///< only when it is passed through
  OwnedFd theirs;
};

/// Throws Failure when the process wants a terminal and nobody would hold its other end.
Console open_console(const Command& command, const Process& process, bool may_pass_through,
                     const Interruption& interruption);

void write_pid_file(const Command& command, pid_t pid);

/// The sockets that this process was given, for a payload whose configuration does not speak of them.
std::optional<ListenEnv> announced_to_payload(const Arrival& arrival);

}  // namespace fdchain::oci
