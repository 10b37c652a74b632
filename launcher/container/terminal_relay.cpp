#include "launcher/container/terminal_relay.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "fdchain/system/files.h"
#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

bool is_ready(int fd, short events) {
  pollfd one{fd, events, 0};
  return ::poll(&one, 1, 0) == 1;
}

}  // namespace

TerminalRelay::TerminalRelay(bool wanted) {
  for (int number = STDIN_FILENO; wanted && number <= STDERR_FILENO; ++number) {
    if (::isatty(number) != 1) continue;
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
    const bool input = number == STDIN_FILENO;
    streams_.push_back({number, OwnedFd(ends[input ? 1 : 0]), OwnedFd(ends[input ? 0 : 1])});
    // Ours alone: the container's end is another open file description.
    check(::fcntl(streams_.back().ours.get(), F_SETFL, O_NONBLOCK), "fcntl F_SETFL");
  }
}

std::vector<Passed> TerminalRelay::passed() const {
  std::vector<Passed> passed;
  for (const Stream& stream : streams_)
    passed.push_back({stream.theirs.get(), stream.terminal, 1, false, "instead of a terminal"});
  return passed;
}

void TerminalRelay::close_theirs() {
  for (Stream& stream : streams_) stream.theirs.close();
}

void TerminalRelay::add_to(std::vector<pollfd>& waiting) const {
  for (const Stream& stream : streams_) {
    if (!stream.ours) continue;
    const bool input = stream.terminal == STDIN_FILENO;
    // Of a container that does not read, nothing is read for it.
    const bool room = input && is_ready(stream.ours.get(), POLLOUT);
    if (!input)
      waiting.push_back({stream.ours.get(), POLLIN, 0});
    else
      waiting.push_back(room ? pollfd{stream.terminal, POLLIN, 0} : pollfd{stream.ours.get(), POLLOUT, 0});
  }
}

void TerminalRelay::move() {
  for (Stream& stream : streams_) {
    if (stream.ours && !carry(stream)) stream.ours.close();
  }
}

// False when its end has come.
bool TerminalRelay::carry(Stream& stream) const {
  std::array<char, 4096> buffer{};
  if (stream.terminal == STDIN_FILENO) {
    if (!is_ready(stream.ours.get(), POLLOUT) || !is_ready(stream.terminal, POLLIN)) return true;
    const ssize_t got = retry([&] { return ::read(stream.terminal, buffer.data(), buffer.size()); });
    if (got <= 0) return false;
    return ::write(stream.ours.get(), buffer.data(), static_cast<std::size_t>(got)) == got;
  }
  while (true) {
    const ssize_t got = retry([&] { return ::read(stream.ours.get(), buffer.data(), buffer.size()); });
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    write_all(stream.terminal, {buffer.data(), static_cast<std::size_t>(got)}, "terminal");
  }
}

void TerminalRelay::drain() {
  for (Stream& stream : streams_) {
    if (stream.ours && stream.terminal != STDIN_FILENO) carry(stream);
    stream.ours.close();
  }
}

}  // namespace fdchain
