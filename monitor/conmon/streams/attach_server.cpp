#include "monitor/conmon/streams/attach_server.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include "fdchain/program/log.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fd/unix_socket.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;
using Wait = asio::posix::stream_descriptor::wait_type;

constexpr int backlog = 10;
constexpr mode_t only_the_owner = 0700;

using Clock = std::chrono::steady_clock;

// How long a client that takes nothing any more can hold up the end of its container; and clients that do.
constexpr std::chrono::seconds patience{5};
constexpr std::chrono::seconds longest_end{30};
constexpr std::chrono::milliseconds tick{20};

// How long nobody new is taken when there is no descriptor for them: whoever waits can be read all the while.
constexpr std::chrono::milliseconds pause{100};

}  // namespace

AttachServer::AttachServer(asio::io_context& io, std::string directory, Events events)
    : io_(io), directory_(std::move(directory)), events_(std::move(events)), socket_(io), again_(io) {
  OwnedFd socket = bind_unix_socket(directory_, "attach", SOCK_SEQPACKET | SOCK_NONBLOCK, only_the_owner);
  check(::listen(socket.get(), backlog), "listen", directory_ + "/attach");
  socket_.assign(socket.release());
  listen();
}

void AttachServer::listen() {
  socket_.async_wait(Wait::wait_read, [this](auto error) {
    if (error) return;
    if (accept_waiting()) return listen();
    again_.expires_after(pause);
    again_.async_wait([this](auto cancelled) {
      if (!cancelled) listen();
    });
  });
}

bool AttachServer::accept_waiting() {
  while (true) {
    OwnedFd socket(::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) return false;
    if (!socket) return true;  // nobody, or one who has gone again
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
  const ssize_t got = receive_message(client->socket.native_handle(), packet, MSG_DONTWAIT);
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
  if (poll_until({&poll_fd, 1}, at_once) > 0) return drop(client);
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

// Asked of the queue: poll(2) says that there is room only when a client has taken three quarters of it.
bool AttachServer::still_takes(Client& client) {
  int queued = 0;
  if (::ioctl(client.socket.native_handle(), SIOCOUTQ, &queued) < 0) return false;
  const std::size_t left = client.pending.size() + static_cast<std::size_t>(queued);
  const auto now = Clock::now();
  if (std::exchange(client.left, left) != left) client.took = now;
  return now - client.took <= patience;
}

void AttachServer::finish() {
  accept_waiting();
  const auto begin = Clock::now();
  for (const ClientPtr& client : clients_) client->took = begin;
  while (true) {
    const bool late = Clock::now() - begin > longest_end;
    for (const ClientPtr& client : clients_) {
      if (!send_pending(*client)) client->pending.clear();
      if (client->pending.empty() || (!late && still_takes(*client))) continue;
      log::warn("an attached client does not read; what it has not taken is lost to it");
      client->pending.clear();
    }
    if (!pressed()) break;
    (void)poll_until({}, after(tick));
  }
  // Closed, not only forgotten: whoever waits for it to say something would hold it until the very end, and
  // its client waits for this.
  for (const ClientPtr& client : clients_) client->socket.close();
  clients_.clear();
  socket_.close();
  ::unlink((directory_ + "/attach").c_str());
}

}  // namespace fdchain
