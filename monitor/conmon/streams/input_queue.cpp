#include "monitor/conmon/streams/input_queue.h"

#include <unistd.h>

#include <cerrno>

#include "fdchain/system/fd/sys.h"

namespace fdchain {

namespace asio = boost::asio;

InputQueue::InputQueue(asio::io_context& io, std::function<void()> emptied)
    : emptied_(std::move(emptied)), end_(io) {}

void InputQueue::open(OwnedFd end) {
  end_.assign(end.release());
  end_.non_blocking(true);
  const bool waited = !pending_.empty();
  flush();
  if (waited && pending_.empty()) emptied_();
}

bool InputQueue::write(std::string_view bytes) {
  if (gone_) return true;  // nobody reads any more
  pending_ += bytes;
  flush();
  return pending_.empty();
}

void InputQueue::end() {
  ends_ = true;
  flush();
}

void InputQueue::flush() {
  if (!end_.is_open() || waiting_) return;
  while (!pending_.empty()) {
    const ssize_t written =
        retry([&] { return ::write(end_.native_handle(), pending_.data(), pending_.size()); });
    if (written < 0 && errno == EAGAIN) {
      waiting_ = true;
      end_.async_wait(asio::posix::stream_descriptor::wait_write, [this](auto error) {
        waiting_ = false;
        if (error) return;
        flush();
        if (pending_.empty()) emptied_();
      });
      return;
    }
    if (written < 0 && errno == EIO) {
      // A terminal that nobody has open now, and somebody may open again.
      pending_.clear();
      break;
    }
    if (written < 0) {
      gone_ = true;
      pending_.clear();
      break;
    }
    pending_.erase(0, static_cast<std::size_t>(written));
  }
  if (!ends_ && !gone_) return;
  gone_ = true;
  end_.close();
}

}  // namespace fdchain
