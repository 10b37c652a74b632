// The sockets that conmon calls pipes: how launcher and monitor talk.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fdchain/model/environment.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// Both ends of one handshake channel; SEQPACKET, so one write is one message. Close-on-exec.
struct SocketPair {
  OwnedFd ours;
  OwnedFd theirs;
};

SocketPair make_socket_pair();

/// The number that the variable `name` announces; nothing when it is not set. Throws Failure when it is no
/// number.
std::optional<int> handshake_number(const Environment& environment, std::string_view name);

/// Takes the descriptor `number`, and makes it close-on-exec. `subject` is how it was announced, for the
/// message.
///
/// Throws Failure when it is not open, or below `lowest`, where stdio and what is passed on are: writing to
/// the wrong one would be worse than not starting.
OwnedFd take_handshake_fd(int number, std::string_view subject, int lowest);

/// An epoll instance that can be read when the other side of `socket` has closed, and not before: what is
/// said until then waits, and wakes nobody.
OwnedFd watch_for_hang_up(int socket);

/// Sends one message, on a socket or on a pipe: callers of conmon's give either. False when nobody is at the
/// other end any more, which is no error of the sender's.
bool send_message(const OwnedFd& end, std::string_view message);

/// What became of a message that was not to wait.
enum class Sent { yes, no_room, nobody_there };

/// Sends one message on a socket if there is room for it now: whoever reads it may stand still.
Sent send_at_once(int socket, std::string_view message);

/// The next message, as recv(2) with `flags` tells it. What the other end has said before it went is received
/// also when it left something unread, of which the kernel speaks first.
ssize_t receive_message(int socket, std::span<char> buffer, int flags = 0);

}  // namespace fdchain
