#include "fdchain/system/fd/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

// The address and its length; 0 when the path does not fit.
socklen_t fill_address(sockaddr_un& address, const std::string& path) {
  if (path.empty() || path.size() >= sizeof address.sun_path) return 0;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  std::size_t length = path.size() + 1;
  if (path.front() == '@') {
    address.sun_path[0] = '\0';
    --length;
  }
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
}

}  // namespace

OwnedFd bind_unix_socket(const std::string& directory, const std::string& name, int type, mode_t mode) {
  const std::string subject = directory + '/' + name;
  const OwnedFd base(check(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open", directory));
  OwnedFd made(check(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket", subject));
  if (::unlinkat(base.get(), name.c_str(), 0) < 0 && errno != ENOENT) fail(errno, "unlink", subject);
  sockaddr_un address{};
  const socklen_t length = fill_address(address, "/proc/self/fd/" + std::to_string(base.get()) + '/' + name);
  if (length == 0) fail(ENAMETOOLONG, "bind", subject);
  // Nobody may use it before it has its permissions: those of the file are those of the socket at bind(2).
  check(::fchmod(made.get(), mode), "fchmod", subject);
  // Less the umask, which is put aside for the moment: a chmod of the name could be one of whatever a
  // container that can write to the directory has put there.
  const mode_t mask = ::umask(0);
  const int bound = ::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), length);
  const int error = errno;
  ::umask(mask);
  if (bound < 0) fail(error, "bind", subject);
  return made;
}

bool connect_datagram(int socket, const std::string& path) {
  sockaddr_un address{};
  const socklen_t length = fill_address(address, path);
  if (length == 0) {
    errno = ENAMETOOLONG;
    return false;
  }
  return retry([&] { return ::connect(socket, reinterpret_cast<const sockaddr*>(&address), length); }) == 0;
}

OwnedFd receive_descriptor(int socket, int flags) {
  std::array<char, 4096> name{};  // runc sends the terminal's path, crun a blank
  iovec part{name.data(), name.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(64 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  OwnedFd result;
  if (retry([&] { return ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags); }) < 0) return result;
  errno = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
      OwnedFd one(number);
      if (!result) result = std::move(one);
    }
  }
  return result;
}

bool send_datagram(int socket, const std::string& path, std::string_view bytes) {
  sockaddr_un address{};
  const socklen_t length = fill_address(address, path);
  if (length == 0) {
    errno = ENAMETOOLONG;
    return false;
  }
  return retry([&] {
           return ::sendto(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                           reinterpret_cast<const sockaddr*>(&address), length);
         }) >= 0;
}

}  // namespace fdchain
