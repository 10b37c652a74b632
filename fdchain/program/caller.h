#pragma once

#include <optional>

#include "fdchain/model/hop.h"
#include "fdchain/protocol/sync_pipe.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// The hop that started this one: it hears of failures, of the payload's pid and of its end on the sync pipe.
///
/// Without a sync pipe this hop was started by hand, and failures go to stderr.
class Caller {
 public:
  explicit Caller(Hop self, std::optional<OwnedFd> sync_pipe = std::nullopt)
      : self_(self), sync_pipe_(std::move(sync_pipe)) {}

  /// The descriptor of the sync pipe, lent; -1 without one.
  [[nodiscard]] int sync_fd() const { return sync_pipe_ ? sync_pipe_->get() : -1; }

  /// Sends a message; a caller that has gone is not told, and that is no error of ours.
  void tell(const SyncMessage& message);

  /// Tells, once, that the payload has never run and which status the run shall have.
  void tell_failure(std::string_view text, int status);

  /// Passes a failure on that another hop has worded.
  void pass_on_failure(const SyncMessage& message);

 private:
  Hop self_;
  std::optional<OwnedFd> sync_pipe_;
};

}  // namespace fdchain
