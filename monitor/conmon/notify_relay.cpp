#include "monitor/conmon/notify_relay.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "fdchain/program/log.h"
#include "fdchain/protocol/attach.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fd/unix_socket.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;

// The container's user may be anybody.
constexpr mode_t anybody = 0777;

}  // namespace

NotifyRelay::NotifyRelay(asio::io_context& io, const std::string& bundle, std::string host_socket)
    : host_socket_(std::move(host_socket)),
      host_(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "notify")),
      socket_(io) {
  socket_.assign(
      bind_unix_socket(bundle, "notify/notify.sock", SOCK_DGRAM | SOCK_NONBLOCK, anybody).release());
  listen();
}

void NotifyRelay::listen() {
  socket_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    relay();
    listen();
  });
}

void NotifyRelay::relay_all() {
  while (relay()) {
  }
}

// False when nothing more has been said. Descriptors that come along are not taken: a container has nothing
// to store outside.
bool NotifyRelay::relay() {
  std::array<char, 4096> said{};
  const ssize_t got =
      retry([&] { return ::recv(socket_.native_handle(), said.data(), said.size(), MSG_DONTWAIT); });
  if (got < 0) return false;
  const std::string relayed = notification_to_relay({said.data(), static_cast<std::size_t>(got)});
  if (!relayed.empty() && !send_datagram(host_.get(), host_socket_, relayed))
    log::warn("the container's notification did not reach {}: {}", host_socket_, std::strerror(errno));
  return true;
}

}  // namespace fdchain
