#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "fdchain/protocol/attach.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// The attach socket of a container: what it says goes to every client, what a client says goes to its stdin.
///
/// A client that reads slowly is waited for: `pressed()` says so, and whoever reads the container's output
/// stops until `relieved` is called. Nothing else waits with it.
class AttachServer {
 public:
  struct Events {
    std::function<bool(std::string_view)> input;  ///< bytes for stdin; false when no more is welcome for now
    std::function<void()> end_of_input;           ///< a client has no more to say
    std::function<void()> relieved;               ///< every client has taken what there was
  };

  /// Listens at `directory`/attach.
  AttachServer(boost::asio::io_context& io, std::string directory, Events events);

  /// Takes whoever is waiting to be taken: output that is read after this reaches them. False when there is
  /// no descriptor for them.
  bool accept_waiting();

  void broadcast(AttachStream stream, std::string_view bytes);

  [[nodiscard]] bool pressed() const;

  /// More input is welcome again.
  void resume_input();

  /// Delivers what clients have not taken yet, lets go of them, and takes the socket away. A client that
  /// takes nothing for five seconds is given up, and after thirty every one.
  void finish();

 private:
  struct Client {
    explicit Client(boost::asio::io_context& io) : socket(io) {}
    boost::asio::posix::stream_descriptor socket;
    std::deque<std::string> pending;
    bool reads_input = true;
    bool waits_for_room = false;
    bool stalled = false;  ///< its input is not welcome for now
    /// At the end: how much it has still to take, and when it last took something.
    std::size_t left = 0;
    std::chrono::steady_clock::time_point took;
  };
  using ClientPtr = std::shared_ptr<Client>;

  void listen();
  void read(const ClientPtr& client);
  void read_packet(const ClientPtr& client);
  void watch_for_end(const ClientPtr& client);
  void deliver(const ClientPtr& client);
  bool send_pending(Client& client);
  static bool still_takes(Client& client);
  void drop(const ClientPtr& client);

  boost::asio::io_context& io_;
  std::string directory_;
  Events events_;
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer again_;
  std::list<ClientPtr> clients_;
};

}  // namespace fdchain
