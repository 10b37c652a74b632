#include "runtime-shim/oci/stage_pipe.h"

#include <sys/socket.h>

#include <vector>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain::oci {
namespace {

constexpr std::size_t longest = 16'384;

}  // namespace

void send(const OwnedFd& pipe, StageMessage::Kind kind, const std::string& text) {
  const std::string message = static_cast<char>(kind) + text.substr(0, longest - 1);
  // Nobody there any more is found out when the answer is waited for.
  (void)retry([&] { return ::send(pipe.get(), message.data(), message.size(), MSG_NOSIGNAL); });
}

StageMessage receive(const OwnedFd& pipe) {
  std::vector<char> buffer(longest);
  const ssize_t got = receive_message(pipe.get(), buffer);
  if (got <= 0) return {};
  return {static_cast<StageMessage::Kind>(buffer[0]),
          std::string(buffer.data() + 1, static_cast<std::size_t>(got - 1))};
}

void receive(const OwnedFd& pipe, StageMessage::Kind kind) {
  const StageMessage message = receive(pipe);
  if (message.kind == kind) return;
  throw Failure(message.kind == StageMessage::Kind::end ? "the runtime has died"
                                                        : "an unexpected word on the stage pipe");
}

}  // namespace fdchain::oci
