#pragma once

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain::test {

/// A NOTIFY_SOCKET with systemd's end of it.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) {
    std::strcpy(address_.sun_path, path.c_str());
    check(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_), "bind");
    const timeval patience{30, 0};
    check(::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "setsockopt");
  }

  /// Has no room any more for what is not read.
  void fill() const {
    const OwnedFd sender(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
    while (::sendto(sender.get(), "FULL=1", 6, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address_),
                    sizeof address_) == 6) {
    }
    if (errno != EAGAIN) fail(errno, "send");
  }

  std::string receive(int flags = 0) const {
    char text[256];
    const ssize_t got = ::recv(socket_.get(), text, sizeof text, flags);
    return got < 0 ? "" : std::string(text, static_cast<std::size_t>(got));
  }

 private:
  sockaddr_un address_{AF_UNIX, {}};
  OwnedFd socket_{check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
};

}  // namespace fdchain::test
