#include "monitor/conmon/streams/control.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "fdchain/program/log.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;

constexpr std::size_t longest_line = 200;

int open_fifo(const std::string& path) {
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) fail(errno, "unlink", path);
  check(::mkfifo(path.c_str(), 0660), "mkfifo", path);
  // For writing too: otherwise the last writer's end would be an end that can be read for ever.
  return check(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC), "open", path);
}

}  // namespace

ControlFifo::ControlFifo(asio::io_context& io, const std::string& path, Obey obey)
    : obey_(std::move(obey)), fifo_(io, open_fifo(path)) {
  listen();
}

void ControlFifo::listen() {
  fifo_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    read();
    listen();
  });
}

void ControlFifo::read() {
  std::array<char, longest_line> buffer{};
  const ssize_t got = retry([&] { return ::read(fifo_.native_handle(), buffer.data(), buffer.size()); });
  if (got <= 0) return;
  line_.append(buffer.data(), static_cast<std::size_t>(got));
  for (std::size_t end = 0; (end = line_.find('\n')) != std::string::npos; line_.erase(0, end + 1))
    obey_(std::string_view(line_).substr(0, end));
  if (line_.size() < longest_line) return;
  log::warn("a control line without an end");
  line_.clear();
}

}  // namespace fdchain
