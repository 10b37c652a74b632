#include "monitor/conmon/caller.h"

#include <unistd.h>

#include <optional>
#include <utility>

#include "fdchain/system/fd/sys.h"

namespace fdchain {

ConmonCaller::ConmonCaller(OwnedFd sync_pipe, const ConmonOptions& options)
    : sync_pipe_(std::move(sync_pipe)), new_protocol_(options.api_version), exec_(options.exec) {}

void ConmonCaller::tell_container(pid_t container) {
  if (new_protocol_ || !exec_) tell({container, std::nullopt, key()});
}

void ConmonCaller::tell_failure(const std::string& why) { tell({-1, why, key()}); }

void ConmonCaller::tell_end(int status, bool timed_out) {
  if (exec_)
    tell({status, timed_out ? std::optional<std::string>("command timed out") : std::nullopt, key()});
}

void ConmonCaller::tell(const ConmonMessage& message) {
  if (!sync_pipe_) return;
  const std::string line = encode(message);
  // A caller may give a pipe as well as a socket.
  const ssize_t sent = retry([&] { return ::write(sync_pipe_.get(), line.data(), line.size()); });
  if (sent < 0) sync_pipe_.close();
}

ConmonMessage::Key ConmonCaller::key() const {
  if (new_protocol_) return ConmonMessage::Key::data;
  return exec_ ? ConmonMessage::Key::exit_code : ConmonMessage::Key::pid;
}

}  // namespace fdchain
