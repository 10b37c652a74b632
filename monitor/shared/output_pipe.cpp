#include "monitor/shared/output_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "fdchain/system/fd/sys.h"

namespace fdchain {

namespace asio = boost::asio;

namespace {

// No more can be left than fits: what comes after that is from somebody who still writes, and may never stop.
std::size_t capacity(int fd) {
  const int size = ::fcntl(fd, F_GETPIPE_SZ);
  return size > 0 ? static_cast<std::size_t>(size) : 65'536;  // a terminal holds less
}

}  // namespace

// The buffer is left as it is: a page that is never read into is never there.
OutputPipe::OutputPipe(asio::io_context& io, Take take)  // NOLINT(*-member-init)
    : take_(std::move(take)), ours_(io), again_(io) {}

OwnedFd OutputPipe::make() {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  ours_.assign(fd_ = ends[0]);
  return OwnedFd(ends[1]);
}

void OutputPipe::adopt(OwnedFd terminal) {
  is_terminal_ = true;
  ours_.assign(fd_ = terminal.release());
  start();
}

void OutputPipe::start() {
  ours_.non_blocking(true);
  read();
}

void OutputPipe::hold(bool held) {
  held_ = held;
  if (!held && ours_.is_open()) read();
}

// Waits with asio and reads by itself: a read that asio has made is lost when the loop ends before its
// handler ran.
void OutputPipe::read() {
  if (held_ || waiting_) return;
  waiting_ = true;
  ours_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    waiting_ = false;
    if (error || held_) return;
    if (read_some()) return read();
    if (!is_terminal_) return;
    again_.expires_after(std::chrono::milliseconds(100));
    again_.async_wait([this](auto cancelled) {
      if (!cancelled) read();
    });
  });
}

// False at the end.
bool OutputPipe::read_some() {
  boost::system::error_code error;
  if (const std::size_t size = ours_.read_some(asio::buffer(buffer_), error)) {
    take_({buffer_.data(), size});
    return true;
  }
  return error == asio::error::would_block;
}

void OutputPipe::drain() {
  again_.cancel();
  if (!ours_.is_open()) return;
  boost::system::error_code error;
  for (std::size_t left = capacity(fd_); left > 0;) {
    const std::size_t size = ours_.read_some(asio::buffer(buffer_), error);
    if (size == 0) break;
    take_({buffer_.data(), size});
    left -= std::min(left, size);
  }
  ours_.close();
  fd_ = -1;
  is_terminal_ = false;
}

}  // namespace fdchain
