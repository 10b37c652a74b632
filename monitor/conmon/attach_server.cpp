#include "monitor/conmon/attach_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include "fdchain/program/log.h"
#include "fdchain/system/sys.h"
#include "fdchain/system/unix_socket.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;
using Wait = asio::posix::stream_descriptor::wait_type;

constexpr int backlog = 10;
constexpr mode_t only_the_owner = 0700;

// How long a client that takes nothing any more can hold up the end of its container.
constexpr int patience_ms = 5000;

}  // namespace

AttachServer::AttachServer(asio::io_context& io, std::string directory, Events events)
    : io_(io), directory_(std::move(directory)), events_(std::move(events)), socket_(io) {
  OwnedFd socket = bind_unix_socket(directory_, "attach", SOCK_SEQPACKET | SOCK_NONBLOCK, only_the_owner);
  check(::listen(socket.get(), backlog), "listen", directory_ + "/attach");
  socket_.assign(socket.release());
  listen();
}

void AttachServer::listen() {
  socket_.async_wait(Wait::wait_read, [this](auto error) {
    if (error) return;
    accept_waiting();
    listen();
  });
}

void AttachServer::accept_waiting() {
  while (true) {
    OwnedFd socket(::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;  // nobody, or one who has gone again
    const auto client = std::make_shared<Client>(io_);
    client->socket.assign(socket.release());
    clients_.push_back(client);
    read(client);
  }
}

void AttachServer::read(const ClientPtr& client) {
  client->socket.async_wait(Wait::wait_read, [this, client](auto error) {
    if (!error) read_packet(client);
  });
}

void AttachServer::read_packet(const ClientPtr& client) {
  std::string packet(attach_input_max, '\0');
  const ssize_t got = retry(
      [&] { return ::recv(client->socket.native_handle(), packet.data(), packet.size(), MSG_DONTWAIT); });
  if (got < 0 && errno == EAGAIN) return read(client);
  if (got <= 0) {
    client->reads_input = false;
    events_.end_of_input();
    return got < 0 ? drop(client) : watch_for_end(client);
  }
  packet.resize(static_cast<std::size_t>(got));
  client->stalled = !events_.input(packet);
  if (!client->stalled) read(client);
}

// A client that has said all may still listen for as long as the container runs. One that has gone altogether
// is let go of, or the number of descriptors would grow with every visitor.
void AttachServer::watch_for_end(const ClientPtr& client) {
  pollfd poll_fd{client->socket.native_handle(), 0, 0};
  if (::poll(&poll_fd, 1, 0) > 0) return drop(client);
  client->socket.async_wait(Wait::wait_error, [this, client](auto error) {
    if (!error) watch_for_end(client);
  });
}

void AttachServer::resume_input() {
  for (const ClientPtr& client : clients_) {
    if (std::exchange(client->stalled, false)) read(client);
  }
}

void AttachServer::broadcast(AttachStream stream, std::string_view bytes) {
  if (clients_.empty()) return;
  const std::string frame = encode(AttachFrame{stream, std::string(bytes)});
  const std::vector<ClientPtr> present(clients_.begin(), clients_.end());
  for (const ClientPtr& client : present) {
    client->pending.push_back(frame);
    deliver(client);
  }
}

void AttachServer::deliver(const ClientPtr& client) {
  if (client->waits_for_room) return;
  if (!send_pending(*client)) return drop(client);
  if (client->pending.empty()) return;
  client->waits_for_room = true;
  client->socket.async_wait(Wait::wait_write, [this, client](auto error) {
    client->waits_for_room = false;
    if (error) return;
    deliver(client);
    if (!pressed()) events_.relieved();
  });
}

// Sends what fits; false when the client has gone.
bool AttachServer::send_pending(Client& client) {
  while (!client.pending.empty()) {
    const std::string& frame = client.pending.front();
    const ssize_t sent = retry([&] {
      return ::send(client.socket.native_handle(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    });
    if (sent < 0) return errno == EAGAIN;
    client.pending.pop_front();
  }
  return true;
}

void AttachServer::drop(const ClientPtr& client) {
  if (client->reads_input) events_.end_of_input();
  client->reads_input = false;
  client->pending.clear();
  client->socket.close();
  clients_.remove(client);
}

bool AttachServer::pressed() const {
  return std::ranges::any_of(clients_, [](const ClientPtr& client) { return !client->pending.empty(); });
}

void AttachServer::finish() {
  accept_waiting();
  while (pressed()) {
    std::vector<pollfd> waiting;
    for (const ClientPtr& client : clients_) {
      if (!client->pending.empty()) waiting.push_back({client->socket.native_handle(), POLLOUT, 0});
    }
    const int ready = retry([&] { return ::poll(waiting.data(), waiting.size(), patience_ms); });
    if (ready <= 0) {
      log::warn("an attached client does not read; what it has not taken is lost to it");
      break;
    }
    for (const ClientPtr& client : clients_) {
      if (!send_pending(*client)) client->pending.clear();
    }
  }
  clients_.clear();
  socket_.close();
  ::unlink((directory_ + "/attach").c_str());
}

}  // namespace fdchain
