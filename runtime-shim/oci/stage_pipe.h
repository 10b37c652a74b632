// How the runtime and the container's process that it has made talk while the container is being made: one
// message is one datagram of a socket pair. Each end is its process's own, close-on-exec; the end of one
// tells the other that it has died.
#pragma once

#include <string>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::oci {

struct StageMessage {
  enum class Kind : char {
    pid = 'p',         ///< text: the pid of the container's process, said by the helper that made it
    namespaces = 'n',  ///< container: its namespaces are there; hooks may run
    ready = 'r',       ///< container: it waits for start
    go = 'g',          ///< runtime: it has done its part, go on
    next_exec = 'x',   ///< container: nothing but exec is left; the end of the pipe is then its success
    warning = 'w',     ///< container: text, for the log
    failed = 'e',      ///< container: text, why there will be none
    end = 0,           ///< nobody is at the other end any more
  };

  Kind kind = Kind::end;
  std::string text;
};

/// A text for people, who need no more than its beginning: what is longer than a message is cut.
void send(const OwnedFd& pipe, StageMessage::Kind kind, const std::string& text = {});

/// Waits for the next message.
StageMessage receive(const OwnedFd& pipe);

/// Waits for this one. Throws Failure when the other process has died instead.
void receive(const OwnedFd& pipe, StageMessage::Kind kind);

}  // namespace fdchain::oci
