#include "fdchain/system/socket/notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {

bool notify(const std::string& socket, std::string_view message, std::chrono::seconds patience) {
  const std::string subject = "NOTIFY_SOCKET=" + printable(socket, 120);
  sockaddr_un address{};
  const bool abstract = socket.starts_with('@');
  if (!abstract && !socket.starts_with('/'))
    throw Failure(subject + ": neither a /path nor an @abstract name");
  if (socket.size() >= sizeof address.sun_path)
    throw Failure(subject + ": longer than a unix socket address can be");
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket.data(), socket.size());
  if (abstract) address.sun_path[0] = '\0';
  const auto length = offsetof(sockaddr_un, sun_path) + socket.size() + (abstract ? 0 : 1);
  const OwnedFd sender(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  const timeval longest{patience.count(), 0};
  check(::setsockopt(sender.get(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest), "setsockopt");
  // For SO_SNDTIMEO none is for ever.
  const int flags = MSG_NOSIGNAL | (patience.count() == 0 ? MSG_DONTWAIT : 0);
  const ssize_t sent = retry([&] {
    return ::sendto(sender.get(), message.data(), message.size(), flags,
                    reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length));
  });
  if (sent < 0 && errno == EAGAIN) return false;
  check(sent, "send to", subject);
  return true;
}

}  // namespace fdchain
