#pragma once

#include <sys/types.h>

#include <string>

#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/protocol/conmon_sync.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// Whoever has started this monitor, and hears of its container on the sync pipe. One that has gone is not
/// told, and that is no error of this process's.
class ConmonCaller {
 public:
  /// Without a sync pipe nobody is told. Which words are used the options say.
  ConmonCaller(OwnedFd sync_pipe, const ConmonOptions& options);

  /// The container is there. In the old protocol an exec session is told of by its status alone.
  void tell_container(pid_t container);

  /// It is not, and why.
  void tell_failure(const std::string& why);

  /// How an exec session has ended; a container's status is in its exit file, and not told.
  void tell_end(int status, bool timed_out);

  /// Has nothing to say any more.
  void leave() { sync_pipe_.close(); }

 private:
  void tell(const ConmonMessage& message);
  [[nodiscard]] ConmonMessage::Key key() const;

  OwnedFd sync_pipe_;
  bool new_protocol_;
  bool exec_;
};

}  // namespace fdchain
