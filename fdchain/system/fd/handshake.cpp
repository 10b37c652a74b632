#include "fdchain/system/fd/handshake.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {

SocketPair make_socket_pair() {
  std::array<int, 2> ends{};
  check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
  return {OwnedFd(ends[0]), OwnedFd(ends[1])};
}

std::optional<int> handshake_number(const Environment& environment, std::string_view name) {
  const auto text = environment.get(name);
  if (!text) return std::nullopt;
  const auto number = parse_decimal(*text, INT_MAX);
  if (!number)
    throw Failure(std::string(name) + '=' + printable(*text, 40) + ": not the number of a descriptor");
  return static_cast<int>(*number);
}

OwnedFd take_handshake_fd(int number, std::string_view subject, int lowest) {
  const std::string text = std::string(subject) + '=' + std::to_string(number);
  if (number < lowest) throw Failure(text + ": stdio or a descriptor to pass on, not one of the handshake");
  if (::fcntl(number, F_SETFD, FD_CLOEXEC) < 0) throw Failure(text + ": not an open descriptor");
  return OwnedFd(number);
}

OwnedFd watch_for_hang_up(int socket) {
  OwnedFd epoll(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
  epoll_event event{EPOLLRDHUP, {.fd = socket}};
  check(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket, &event), "epoll_ctl");
  return epoll;
}

namespace {

bool is_nobody_there(int error) { return error == EPIPE || error == ECONNRESET || error == ENOTCONN; }

}  // namespace

bool send_message(const OwnedFd& end, std::string_view message) {
  ssize_t sent = retry([&] { return ::send(end.get(), message.data(), message.size(), MSG_NOSIGNAL); });
  if (sent < 0 && errno == ENOTSOCK) {
    const WriteSignalsHeld held;
    sent = retry([&] { return ::write(end.get(), message.data(), message.size()); });
  }
  if (sent < 0 && is_nobody_there(errno)) return false;
  check(sent, "send", "handshake message");
  return true;
}

Sent send_at_once(int socket, std::string_view message) {
  const ssize_t sent =
      retry([&] { return ::send(socket, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT); });
  if (sent < 0 && errno == EAGAIN) return Sent::no_room;
  if (sent < 0 && is_nobody_there(errno)) return Sent::nobody_there;
  check(sent, "send", "handshake message");
  return Sent::yes;
}

ssize_t receive_message(int socket, std::span<char> buffer, int flags) {
  const auto receive = [&] {
    return retry([&] { return ::recv(socket, buffer.data(), buffer.size(), flags); });
  };
  const ssize_t got = receive();
  return got < 0 && errno == ECONNRESET ? receive() : got;  // said once, and the messages are still there
}

}  // namespace fdchain
