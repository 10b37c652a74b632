#include "fdchain/program/caller.h"

#include <string>

#include "fdchain/program/guard.h"
#include "fdchain/system/fd/handshake.h"

namespace fdchain {

void Caller::tell(const SyncMessage& message) {
  if (sync_pipe_ && !send_message(*sync_pipe_, encode(message))) sync_pipe_.reset();
}

void Caller::tell_failure(std::string_view text, int status) {
  if (!sync_pipe_) return print_error(self_, text);
  std::string message(to_string(self_));
  message.append(": ").append(text);
  tell({-1, std::move(message), status, std::nullopt, false});
}

void Caller::pass_on_failure(const SyncMessage& message) {
  if (sync_pipe_) return tell(message);
  print_line(message.message.value_or("the runtime failed without a word"));
}

}  // namespace fdchain
