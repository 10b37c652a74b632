#include "payload/echo.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/seq_packet_protocol.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>

#include "fdchain/model/number.h"
#include "fdchain/program/log.h"
#include "fdchain/program/notice.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/observe.h"
#include "payload/shared_readiness.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;
using StreamSocket = asio::generic::stream_protocol::socket;
using PacketSocket = asio::generic::seq_packet_protocol::socket;

// How long a full descriptor table keeps the service from accepting, before it tries again.
constexpr auto accept_pause = std::chrono::milliseconds(100);

/// Who is being served. Outlives the service, for sessions that end with its event loop.
struct Clients {
  int count = 0;
  std::function<void()> first_came;
  std::function<void()> last_left;
};

/// Keeps the service busy for as long as it lives: one for each client.
class Client {
 public:
  explicit Client(std::shared_ptr<Clients> clients) : clients_(std::move(clients)) {
    if (clients_->count++ == 0 && clients_->first_came) clients_->first_came();
  }
  ~Client() {
    if (--clients_->count == 0 && clients_->last_left) clients_->last_left();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

 private:
  std::shared_ptr<Clients> clients_;
};

/// The service: what it serves, and when it ends.
class Echo {
 public:
  Echo(const PayloadOptions& options, const Environment& environment);
  ~Echo() { clients_->first_came = clients_->last_left = nullptr; }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;

  void add(const Source& source);
  int run();

 private:
  void add_listener(int fd, int family, int type);
  void add_connection(OwnedFd fd, int family, int type);
  void add_datagrams(int fd);
  void add_fifo(int fd);
  void accept(int fd, int family, int type);
  void stop_serving(int fd);
  void pause_accepting(int fd, int error);
  void answer_datagram(int fd);
  void copy_fifo(int fd);

  void last_client_left();
  void wait_for_idleness();
  void end() { io_.stop(); }
  void wait_for_signal();
  void feed_watchdog();
  void tell(const std::string& state) const;

  PayloadOptions options_;
  const Environment& environment_;
  std::chrono::microseconds watchdog_{0};
  asio::io_context io_;
  asio::signal_set signals_{io_, SIGTERM, SIGINT};
  asio::steady_timer idle_{io_};
  asio::steady_timer watchdog_timer_{io_};
  SharedReadiness shared_{io_};
  std::vector<char> packet_;  // grows to the largest message seen
  int shared_sources_ = 0;
  std::shared_ptr<Clients> clients_ = std::make_shared<Clients>();
};

/// A connected stream: sends back what comes, and ends in the order in which the client does.
class StreamSession : public std::enable_shared_from_this<StreamSession> {
 public:
  StreamSession(std::shared_ptr<Clients> clients, StreamSocket socket)
      : client_(std::move(clients)), socket_(std::move(socket)) {}

  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](auto error, std::size_t size) {
      if (!error) self->write(size);
    });
  }

 private:
  void write(std::size_t size) {
    asio::async_write(socket_, asio::buffer(buffer_, size),
                      [self = shared_from_this()](auto error, std::size_t) {
                        if (!error) self->read();
                      });
  }

  Client client_;
  StreamSocket socket_;
  std::array<char, 16384> buffer_{};
};

// Reads one message whole, however long, without waiting for one; -1 with errno when there is none.
ssize_t receive_message(int fd, std::vector<char>& buffer, sockaddr_storage* from, socklen_t* from_length) {
  const ssize_t size = ::recv(fd, buffer.data(), 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (size < 0) return size;
  if (static_cast<std::size_t>(size) > buffer.size()) buffer.resize(static_cast<std::size_t>(size));
  return ::recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(from),
                    from_length);
}

/// A connected seqpacket socket: sends back each packet as one.
class PacketSession : public std::enable_shared_from_this<PacketSession> {
 public:
  PacketSession(std::shared_ptr<Clients> clients, PacketSocket socket)
      : client_(std::move(clients)), socket_(std::move(socket)) {}

  void read() {
    socket_.async_wait(PacketSocket::wait_read, [self = shared_from_this()](auto error) {
      if (error) return;
      const ssize_t size = receive_message(self->socket_.native_handle(), self->buffer_, nullptr, nullptr);
      if (size > 0)
        self->write(static_cast<std::size_t>(size));
      else if (size < 0 && errno == EAGAIN)
        self->read();
      // An empty packet and the end look alike on a seqpacket socket; either ends the session.
    });
  }

 private:
  void write(std::size_t size) {
    const ssize_t sent =
        ::send(socket_.native_handle(), buffer_.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR);
    if (sent >= 0) return read();
    if (errno != EAGAIN) return;
    socket_.async_wait(PacketSocket::wait_write, [self = shared_from_this(), size](auto error) {
      if (!error) self->write(size);
    });
  }

  Client client_;
  PacketSocket socket_;
  std::vector<char> buffer_ = std::vector<char>(4096);
};

Echo::Echo(const PayloadOptions& options, const Environment& environment)
    : options_(options), environment_(environment), packet_(65536) {
  clients_->first_came = [this] { idle_.cancel(); };
  clients_->last_left = [this] { last_client_left(); };
  watchdog_ = watchdog_interval(environment);
}

void Echo::add(const Source& source) {
  const auto row = observe_fd(source.fd);
  if (!row) return log::warn("descriptor {} is not open", source.fd);
  log::debug("serving {} at {}: {} {}", source.name, source.fd, row->type, row->name);
  if (row->type == "FIFO") return add_fifo(source.fd);
  if (row->socket) {
    const SocketRow& socket = *row->socket;
    const bool packets = socket.type == SOCK_STREAM || socket.type == SOCK_SEQPACKET;
    if (packets && socket.listening) return add_listener(source.fd, socket.family, socket.type);
    // Our own copy, to be closed with the session; the source stays with the caller.
    if (packets)
      return add_connection(OwnedFd(check(::fcntl(source.fd, F_DUPFD_CLOEXEC, 3), "fcntl")), socket.family,
                            socket.type);
    if (socket.type == SOCK_DGRAM && socket.family != AF_NETLINK) return add_datagrams(source.fd);
  }
  log::warn("descriptor {} ({}, {} {}): echo does not serve this kind", source.fd, source.name, row->type,
            row->name);
}

int Echo::run() {
  wait_for_signal();
  // Not before a signal would end this service in its own way.
  tell("READY=1");
  if (options_.sdnotify) {
    tell("STATUS=echoing on " + std::to_string(shared_sources_) + " sockets");
    feed_watchdog();
  }
  if (shared_sources_ + clients_->count > 0) {
    wait_for_idleness();
    io_.run();
  }
  if (options_.sdnotify) tell("STOPPING=1");
  return options_.exit_code;
}

void Echo::add_listener(int fd, int family, int type) {
  ++shared_sources_;
  shared_.add(fd, [this, fd, family, type] { accept(fd, family, type); });
}

void Echo::add_connection(OwnedFd fd, int family, int type) {
  if (type == SOCK_STREAM) {
    StreamSocket socket(io_, asio::generic::stream_protocol(family, 0), fd.get());
    (void)fd.release();
    std::make_shared<StreamSession>(clients_, std::move(socket))->read();
  } else {
    PacketSocket socket(io_, asio::generic::seq_packet_protocol(family, 0), fd.get());
    (void)fd.release();
    std::make_shared<PacketSession>(clients_, std::move(socket))->read();
  }
}

void Echo::add_datagrams(int fd) {
  ++shared_sources_;
  shared_.add(fd, [this, fd] { answer_datagram(fd); });
}

void Echo::add_fifo(int fd) {
  ++shared_sources_;
  shared_.add(fd, [this, fd] { copy_fifo(fd); });
}

void Echo::accept(int fd, int family, int type) {
  // The descriptor may be a blocking one, and another process that shares it may have been faster.
  if (!is_readable(fd)) return;
  OwnedFd client(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (client) return add_connection(std::move(client), family, type);
  const int error = errno;
  // Somebody else was faster, or the client has gone again: accept(2), "Error handling".
  for (const int passing : {EAGAIN, EINTR, ECONNABORTED, ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET,
                            EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH}) {
    if (error == passing) return;
  }
  if (error == EINVAL) return stop_serving(fd);
  pause_accepting(fd, error);
}

// Somebody has shut it down, for all who share it: it would be readable for ever.
void Echo::stop_serving(int fd) {
  log::warn("descriptor {} does not listen any more; it is served no longer", fd);
  shared_.remove(fd);
  if (--shared_sources_ == 0 && clients_->count == 0) end();
}

void Echo::pause_accepting(int fd, int error) {
  log::warn("cannot accept: {}; trying again in {} ms", std::strerror(error), accept_pause.count());
  shared_.pause(fd);
  auto timer = std::make_shared<asio::steady_timer>(io_, accept_pause);
  timer->async_wait([this, fd, timer](auto cancelled) {
    if (!cancelled) shared_.resume(fd);
  });
}

void Echo::answer_datagram(int fd) {
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  const ssize_t size = receive_message(fd, packet_, &from, &length);
  if (size < 0) return;
  const Client client(clients_);
  if (length == 0) return;  // an unbound unix socket: no way back
  const ssize_t sent =
      ::sendto(fd, packet_.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL | MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&from), length);
  // A datagram may be lost: one client that does not read must not keep the others waiting.
  if (sent < 0) log::debug("descriptor {}: a datagram could not be sent back: {}", fd, std::strerror(errno));
}

void Echo::copy_fifo(int fd) {
  // The descriptor may be a blocking one, and another process that shares it may have been faster.
  if (!is_readable(fd)) return;
  std::array<char, 4096> buffer{};
  const ssize_t size = retry([&] { return ::read(fd, buffer.data(), buffer.size()); });
  if (size < 0) return;
  const Client client(clients_);
  if (size > 0)
    return write_all_patiently(STDOUT_FILENO, {buffer.data(), static_cast<std::size_t>(size)}, "stdout");
  // Opened read-only, and the last writer has gone.
  shared_.remove(fd);
  --shared_sources_;
}

void Echo::last_client_left() {
  if (options_.once || shared_sources_ == 0)
    end();
  else
    wait_for_idleness();
}

void Echo::wait_for_idleness() {
  if (options_.idle_timeout == 0) return;
  idle_.expires_after(std::chrono::seconds(options_.idle_timeout));
  idle_.async_wait([this](auto error) {
    if (error || clients_->count > 0) return;
    // Whoever came in this very moment is served first.
    if (shared_.any_ready())
      wait_for_idleness();
    else
      end();
  });
}

void Echo::wait_for_signal() {
  signals_.async_wait([this](auto error, int) {
    if (!error) end();
  });
}

void Echo::feed_watchdog() {
  if (watchdog_.count() == 0) return;
  feed_service_watchdog(environment_);
  watchdog_timer_.expires_after(std::max(watchdog_ / 2, shortest_watchdog));
  watchdog_timer_.async_wait([this](auto error) {
    if (!error) feed_watchdog();
  });
}

void Echo::tell(const std::string& state) const { tell_service_manager(environment_, state); }

}  // namespace

int serve_echo(const std::vector<Source>& sources, const PayloadOptions& options,
               const Environment& environment) {
  Echo echo(options, environment);
  for (const Source& source : sources) echo.add(source);
  return echo.run();
}

}  // namespace fdchain
