#include "payload/shared_readiness.h"

#include <sys/epoll.h>

#include <array>

#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {

SharedReadiness::SharedReadiness(boost::asio::io_context& io)
    : epoll_(io, check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  wait();
}

void SharedReadiness::add(int fd, Handler handler) {
  epoll_event event{EPOLLIN, {.fd = fd}};
  check(::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  handlers_[fd] = std::move(handler);
}

void SharedReadiness::remove(int fd) {
  handlers_.erase(fd);
  check(::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr), "epoll_ctl");
}

void SharedReadiness::modify(int fd, bool readable) {
  epoll_event event{readable ? EPOLLIN : 0U, {.fd = fd}};
  check(::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, fd, &event), "epoll_ctl");
}

bool SharedReadiness::any_ready() const {
  return is_readable(const_cast<SharedReadiness*>(this)->epoll_.native_handle());
}

void SharedReadiness::wait() {
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    dispatch();
    wait();
  });
}

void SharedReadiness::dispatch() {
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    // A handler may remove another descriptor that is in this batch too.
    const auto found = handlers_.find(events[static_cast<std::size_t>(i)].data.fd);
    if (found == handlers_.end()) continue;
    const Handler handler = found->second;  // it may remove itself
    handler();
  }
}

}  // namespace fdchain
