#include "launcher/oci/terminal_relay.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

constexpr std::size_t pipe_holds = 65'536;  // written and not read, at most

}  // namespace

TerminalRelay::TerminalRelay(bool wanted) {
  for (int number = STDIN_FILENO; wanted && number <= STDERR_FILENO; ++number) {
    if (::isatty(number) != 1) continue;
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
    const bool input = number == STDIN_FILENO;
    OwnedFd ours(ends[input ? 1 : 0]);
    OwnedFd theirs(ends[input ? 0 : 1]);
    // Ours alone: the container's end is another open file description.
    check(::fcntl(ours.get(), F_SETFL, O_NONBLOCK), "fcntl F_SETFL");
    OwnedFd terminal = end_of_callers(number, input ? O_RDONLY : O_WRONLY);
    const Flow flow = input ? Flow{terminal.get(), ours.get()} : Flow{ours.get(), terminal.get()};
    streams_.push_back({number, std::move(terminal), std::move(ours), std::move(theirs), flow});
  }
}

std::vector<FdPass> TerminalRelay::passed() const {
  std::vector<FdPass> passed;
  for (const Stream& stream : streams_)
    passed.push_back({stream.theirs.get(), stream.number, 1, false, "instead of a terminal"});
  return passed;
}

void TerminalRelay::close_theirs() {
  for (Stream& stream : streams_) stream.theirs.close();
}

void TerminalRelay::add_to(std::vector<pollfd>& waiting) const {
  for (const Stream& stream : streams_) {
    // A descriptor of which nothing is wanted would still tell of its hang-up, again and again.
    if (stream.flow.has_room()) waiting.push_back({stream.flow.from, POLLIN, 0});
    if (!stream.flow.pending.empty()) waiting.push_back({stream.flow.to, POLLOUT, 0});
  }
}

void TerminalRelay::move() {
  for (Stream& stream : streams_) carry(stream);
}

void TerminalRelay::carry(Stream& stream) {
  Flow& flow = stream.flow;
  // A read of a terminal in vain would stop a job in the background.
  while (flow.has_room() && is_readable(flow.from) && flow.fill() > 0) {
  }
  while (flow.flush()) {
  }
  if (!stream.is_input() || (flow.has_reader && (flow.open || !flow.pending.empty()))) return;
  flow.open = false;
  stream.ours.close();  // its end is the container's to see
}

void TerminalRelay::take_rest() {
  std::erase_if(streams_, [](const Stream& stream) { return stream.is_input(); });
  for (Stream& stream : streams_) {
    // Somebody else may have the other end, and write for ever.
    for (std::size_t left = pipe_holds; left > 0 && stream.flow.open;) {
      const std::size_t got = stream.flow.fill();
      left -= std::min(left, got == 0 ? left : got);
    }
    stream.flow.open = false;
  }
}

bool TerminalRelay::is_done() const {
  return std::ranges::all_of(
      streams_, [](const Stream& stream) { return !stream.flow.open && stream.flow.pending.empty(); });
}

}  // namespace fdchain
