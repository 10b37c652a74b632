#include "runtime-shim/oci/child_guard.h"

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fs/files.h"
#include "runtime-shim/oci/console.h"

namespace fdchain::oci {

StageMessage ChildGuard::receive(const Journal& journal) const {
  while (true) {
    (void)interruption_.wait(pipe_.get());
    StageMessage message = oci::receive(pipe_);
    if (message.kind == StageMessage::Kind::failed) throw Failure(message.text);
    if (message.kind != StageMessage::Kind::warning) return message;
    journal.warning(message.text);
  }
}

void ChildGuard::receive(StageMessage::Kind kind, const Journal& journal) const {
  if (receive(journal).kind != kind)
    throw Failure("the container's process died before it became the payload");
}

void write_pid_file(const Command& command, pid_t pid) {
  if (!command.pid_file.empty()) write_file_atomically(command.pid_file, std::to_string(pid), "--pid-file");
}

Console open_console(const Command& command, const Process& process, bool may_pass_through,
                     const Interruption& interruption) {
  Console console;
  if (!process.terminal) {
    if (!command.console_socket.empty()) throw Failure("--console-socket: the process has no terminal");
    return console;
  }
  if (!command.console_socket.empty()) {
    console.theirs = connect_console(command.console_socket, interruption);
    return console;
  }
  if (!may_pass_through)
    throw Failure("process.terminal: needs --console-socket when nobody stays with the container");
  SocketPair pair = make_socket_pair();
  console.ours = std::move(pair.ours);
  console.theirs = std::move(pair.theirs);
  return console;
}

std::optional<ListenEnv> announced_to_payload(const Arrival& arrival) {
  const auto* const env = std::get_if<ListenEnv>(&arrival.listen);
  return env != nullptr && env->count > 0 ? std::optional(*env) : std::nullopt;
}

}  // namespace fdchain::oci
