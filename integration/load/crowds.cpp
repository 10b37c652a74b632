// Many clients of one socket.

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <stdexcept>

#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/client.h"
#include "integration/harness/progress.h"
#include "integration/load/activate.h"
#include "integration/load/parts.h"

namespace fdchain::load {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int patience_ms = 30'000;
constexpr std::size_t message_size = 200;

/// How clients of a kind of socket talk.
struct Manner {
  const char* kind;
  bool stream;         ///< what was sent in several pieces may come in one
  std::size_t window;  ///< messages on their way at once: of datagrams more could be dropped by a full queue
};

constexpr std::array manners{Manner{"tcp", true, 16}, Manner{"unix", true, 16},
                             Manner{"unix-seqpacket", false, 8}, Manner{"udp", false, 1},
                             Manner{"unix-dgram", false, 1}};

std::string message(std::size_t client, std::size_t number) {
  std::string text = fmt::format("client {} message {} ", client, number);
  text.resize(message_size - 1, '.');
  return text + '\n';
}

// For as long as nothing is in the way, but no longer than `patience_ms`.
void wait_for_any(std::vector<pollfd>& polled, const std::string& who) {
  const int ready = check(retry([&] { return ::poll(polled.data(), polled.size(), patience_ms); }), "poll");
  if (ready == 0) throw std::runtime_error(who + ": nothing comes any more");
}

/// One client, and what it still has to say and to hear.
class Conversation {
 public:
  Conversation(std::size_t number, const std::string& address, const Manner& manner, std::size_t messages)
      : number_(number), client_(address), manner_(manner), messages_(messages) {}

  [[nodiscard]] bool over() const { return heard_ == messages_ || failed_; }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t heard() const { return heard_; }

  [[nodiscard]] pollfd waits_for() const {
    const bool may_speak = said_ < messages_ && said_ - heard_ < manner_.window;
    const auto events = static_cast<short>(POLLIN | (may_speak ? POLLOUT : 0));
    return {over() ? -1 : client_.fd().get(), events, 0};
  }

  void go_on(short events) {
    if ((events & POLLOUT) != 0) speak();
    if ((events & ~POLLOUT) != 0) listen();
  }

 private:
  void speak() {
    const std::string text = message(number_, said_);
    const ssize_t sent = ::send(client_.fd().get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    failed_ |= sent != static_cast<ssize_t>(text.size());
    ++said_;
  }

  void listen() {
    const ssize_t got = ::recv(client_.fd().get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      failed_ = true;
      return;
    }
    pending_.append(buffer_.data(), static_cast<std::size_t>(got));
    while (pending_.size() >= message_size) {
      failed_ |= pending_.substr(0, message_size) != message(number_, heard_++);
      pending_.erase(0, message_size);
    }
    failed_ |= !manner_.stream && !pending_.empty();
  }

  std::size_t number_;
  test::Client client_;
  Manner manner_;
  std::size_t messages_;
  std::size_t said_ = 0;
  std::size_t heard_ = 0;
  bool failed_ = false;
  std::string pending_;
  std::array<char, 65536> buffer_{};
};

void talk(std::vector<Conversation>& all, const std::string& kind) {
  while (true) {
    std::vector<pollfd> polled;
    bool over = true;
    for (const Conversation& one : all) {
      polled.push_back(one.waits_for());
      over &= one.over();
    }
    if (over) return;
    wait_for_any(polled, kind);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (polled[i].revents != 0) all[i].go_on(polled[i].revents);
    }
  }
}

void add_line(Outcome& outcome, const std::string& kind, std::size_t clients, std::size_t messages,
              std::size_t right, Clock::time_point begin) {
  const std::chrono::duration<double> took = Clock::now() - begin;
  outcome.lines.push_back({fmt::format("{} clients at once, {}", clients, kind), std::to_string(right),
                           fmt::format("messages in order and complete; {:.0f} in a second",
                                       static_cast<double>(right) / took.count())});
  if (right != clients * messages)
    outcome.misses.push_back(fmt::format("{}: {} of {} messages came back", kind, right, clients * messages));
}

void end(pid_t launcher, Outcome& outcome, const std::string& kind) {
  check(::kill(launcher, SIGTERM), "kill");
  const WaitStatus status = reap(launcher);
  if (status != WaitStatus::for_exit_code(0))
    outcome.misses.push_back(kind + ": the launcher " + status.describe());
}

// What ReceiveBuffer= and SendBuffer= of a unit do: a datagram of each client fits in, and an answer to each
// that has not been read yet, so that none need be dropped.
void make_room_for_datagrams(int fd) {
  constexpr int wanted = 1 << 20;  // the kernel takes rmem_max or wmem_max for more than that, and doubles it
  check(::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted), "setsockopt SO_RCVBUF");
  check(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted), "setsockopt SO_SNDBUF");
}

void crowd(Outcome& outcome, const Manner& manner, std::size_t clients, std::size_t messages,
           const std::string& directory) {
  const std::string kind = manner.kind;
  const bool inet = kind == "tcp" || kind == "udp";
  const std::string address = kind + (inet ? ":127.0.0.1:8081" : ":@crowd");
  const Activator activator({address}, directory);
  if (manner.window == 1) make_room_for_datagrams(activator.sockets().front().fd.get());
  const pid_t launcher = activator.activate({"payload"});
  const auto begin = Clock::now();
  std::vector<Conversation> all;
  all.reserve(clients);
  for (std::size_t i = 0; i < clients; ++i) all.emplace_back(i, address, manner, messages);
  talk(all, kind);
  std::size_t right = 0;
  for (const Conversation& one : all) right += one.failed() ? 0 : one.heard();
  add_line(outcome, kind, clients, messages, right, begin);
  end(launcher, outcome, kind);
}

/// Many writers of one FIFO, whose messages the payload prints: each is whole, and each writer's are in
/// order.
class Writers {
 public:
  Writers(const std::string& path, std::size_t clients, std::size_t messages)
      : messages_(messages), said_(clients), heard_(clients) {
    for (std::size_t i = 0; i < clients; ++i)
      fds_.emplace_back(check(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), "open", path));
  }

  /// Until everything that was written has been printed to `out`; how many messages were as they should be.
  std::size_t write_and_read(int out) {
    std::size_t right = 0;
    for (std::size_t lines = 0; lines < messages_ * fds_.size();) {
      std::vector<pollfd> polled{{out, POLLIN, 0}};
      for (std::size_t i = 0; i < fds_.size(); ++i)
        polled.push_back({said_[i] < messages_ ? fds_[i].get() : -1, POLLOUT, 0});
      wait_for_any(polled, "fifo");
      for (std::size_t i = 0; i < fds_.size(); ++i) {
        if (polled[i + 1].revents != 0) write(i);
      }
      if (polled[0].revents == 0) continue;
      if (!read(out)) break;
      for (; text_.size() >= message_size; ++lines) {
        right += is_next(text_.substr(0, message_size)) ? 1U : 0U;
        text_.erase(0, message_size);
      }
    }
    return right;
  }

 private:
  // Not longer than PIPE_BUF, so all of it or nothing.
  void write(std::size_t client) {
    const std::string text = message(client, said_[client]);
    if (::write(fds_[client].get(), text.data(), text.size()) > 0) ++said_[client];
  }

  bool read(int out) {
    std::array<char, 65536> buffer{};
    const ssize_t got = check(::read(out, buffer.data(), buffer.size()), "read");
    text_.append(buffer.data(), static_cast<std::size_t>(got));
    return got > 0;
  }

  bool is_next(const std::string& text) {
    for (std::size_t i = 0; i < heard_.size(); ++i) {
      if (text != message(i, heard_[i])) continue;
      ++heard_[i];
      return true;
    }
    return false;
  }

  std::size_t messages_;
  std::vector<OwnedFd> fds_;
  std::vector<std::size_t> said_;
  std::vector<std::size_t> heard_;
  std::string text_;
};

void crowd_of_writers(Outcome& outcome, std::size_t clients, std::size_t messages,
                      const std::string& directory) {
  const std::string path = directory + "/crowd.fifo";
  const Activator activator({"fifo:" + path}, directory);
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  const OwnedFd out(ends[0]);
  OwnedFd theirs(ends[1]);
  const pid_t launcher = activator.activate({"payload"}, theirs.get());
  theirs.close();
  const auto begin = Clock::now();
  const std::size_t right = Writers(path, clients, messages).write_and_read(out.get());
  add_line(outcome, "fifo", clients, messages, right, begin);
  end(launcher, outcome, "fifo");
}

}  // namespace

Outcome crowds(std::size_t clients, std::size_t messages, const std::string& directory) {
  Outcome outcome;
  test::Progress progress(manners.size() + 1, "crowds");
  for (const Manner& manner : manners) {
    crowd(outcome, manner, clients, messages, directory);
    progress.step();
  }
  crowd_of_writers(outcome, clients, messages, directory);
  progress.step();
  return outcome;
}

}  // namespace fdchain::load
