#include "fdchain/system/proc/observe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

#include "fdchain/model/number.h"
#include "fdchain/system/fd/accept_queue.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

std::optional<int> socket_option(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0) return std::nullopt;
  return value;
}

std::uint64_t socket_cookie(int fd) {
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  return ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) < 0 ? 0 : cookie;
}

std::string inet_text(int family, const void* ip, in_port_t port, unsigned scope) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family, ip, text.data(), text.size());
  std::string result = family == AF_INET6 ? '[' + std::string(text.data()) + ']' : text.data();
  result.append(":").append(std::to_string(ntohs(port)));
  std::array<char, IF_NAMESIZE> interface {};
  if (scope != 0 && ::if_indextoname(scope, interface.data()) != nullptr)
    result.append("%").append(interface.data());
  return result;
}

std::string unix_text(const sockaddr_storage& storage, socklen_t length) {
  const auto& un = reinterpret_cast<const sockaddr_un&>(storage);
  if (length <= offsetof(sockaddr_un, sun_path)) return {};
  std::string_view path(un.sun_path, length - offsetof(sockaddr_un, sun_path));
  if (path[0] == '\0') return '@' + std::string(path.substr(1));
  return std::string(path.substr(0, path.find('\0')));
}

// The address in the notation of systemd.socket(5); empty when there is none.
std::string address_text(const sockaddr_storage& storage, socklen_t length) {
  switch (storage.ss_family) {
    case AF_INET: {
      const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
      return inet_text(AF_INET, &in.sin_addr, in.sin_port, 0);
    }
    case AF_INET6: {
      const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
      return inet_text(AF_INET6, &in6.sin6_addr, in6.sin6_port, in6.sin6_scope_id);
    }
    case AF_UNIX: return unix_text(storage, length);
    case AF_VSOCK: {
      const auto& vm = reinterpret_cast<const sockaddr_vm&>(storage);
      const std::string cid = vm.svm_cid == VMADDR_CID_ANY ? "" : std::to_string(vm.svm_cid);
      return "vsock:" + cid + ':' + std::to_string(vm.svm_port);
    }
    case AF_NETLINK: {
      const auto& nl = reinterpret_cast<const sockaddr_nl&>(storage);
      return "netlink:" + std::to_string(nl.nl_pid);
    }
    default: return {};
  }
}

template <typename Ask>
std::optional<std::string> ask_address(int fd, Ask ask) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (ask(fd, reinterpret_cast<sockaddr*>(&storage), &length) < 0) return std::nullopt;
  return address_text(storage, length);
}

// lsfd's TYPE of a socket: the protocol.
std::string socket_type_name(const SocketRow& row, int protocol) {
  const std::string_view type = row.type == SOCK_STREAM      ? "STREAM"
                                : row.type == SOCK_DGRAM     ? "DGRAM"
                                : row.type == SOCK_SEQPACKET ? "SEQPACKET"
                                                             : "RAW";
  switch (row.family) {
    case AF_UNIX: return "UNIX-" + std::string(type);
    case AF_VSOCK: return "VSOCK-" + std::string(type);
    case AF_NETLINK: return "NETLINK";
    case AF_INET:
    case AF_INET6: {
      const std::string suffix = row.family == AF_INET6 ? "v6" : "";
      if (protocol == IPPROTO_TCP) return "TCP" + suffix;
      if (protocol == IPPROTO_UDP) return "UDP" + suffix;
      return std::string(type) + suffix;
    }
    default: return "SOCK";
  }
}

std::string socket_name(const SocketRow& row, bool connected) {
  std::string name = row.listening ? "state=listen" : connected ? "state=connected" : "state=unconnected";
  const std::string_view key = row.family == AF_UNIX ? " path=" : " laddr=";
  if (!row.local.empty()) name.append(key).append(row.local);
  if (!row.peer.empty()) name.append(row.family == AF_UNIX ? " peer=" : " raddr=").append(row.peer);
  return name;
}

void describe_socket(int fd, FdRow& row) {
  const auto family = socket_option(fd, SO_DOMAIN);
  if (!family) {
    row.error = ::strerrorname_np(errno);
    return;
  }
  SocketRow socket;
  socket.family = *family;
  socket.type = socket_option(fd, SO_TYPE).value_or(0);
  socket.listening = socket_option(fd, SO_ACCEPTCONN).value_or(0) != 0;
  socket.cookie = socket_cookie(fd);
  socket.local = ask_address(fd, ::getsockname).value_or("");
  // A pair of sockets has peers without an address.
  const auto peer = ask_address(fd, ::getpeername);
  socket.peer = peer.value_or("");
  row.type = socket_type_name(socket, socket_option(fd, SO_PROTOCOL).value_or(0));
  row.name = socket_name(socket, peer.has_value());
  row.socket = std::move(socket);
}

std::string link_target(int fd) {
  std::array<char, PATH_MAX> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
}

std::string file_type(mode_t mode, const std::string& name) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "REG";
    case S_IFDIR: return "DIR";
    case S_IFCHR: return "CHR";
    case S_IFBLK: return "BLK";
    case S_IFIFO: return "FIFO";
    case S_IFLNK: return "LINK";
    case S_IFSOCK: return "SOCK";
    default: break;
  }
  // anon_inode:[eventfd] → eventfd
  const std::size_t open = name.find('[');
  const std::size_t close = name.rfind(']');
  if (open == std::string::npos || close == std::string::npos || close < open) return "ANON";
  return name.substr(open + 1, close - open - 1);
}

std::string access_mode(int status_flags) {
  if ((status_flags & O_PATH) != 0) return "--";
  switch (status_flags & O_ACCMODE) {
    case O_RDONLY: return "r-";
    case O_WRONLY: return "-w";
    default: return "rw";
  }
}

void describe_by_link(mode_t mode, const std::string& link, FdRow& row) {
  row.name = link;
  row.type = file_type(mode, link);
}

}  // namespace

FdRow describe_row(const RawRow& raw, const std::string& link, const FdRow* known) {
  FdRow row;
  if (known != nullptr)
    row = *known;
  else
    describe_by_link(raw.mode, link, row);
  row.number = raw.number;
  row.mode = access_mode(raw.status_flags);
  row.close_on_exec = (raw.fd_flags & FD_CLOEXEC) != 0;
  row.non_blocking = (raw.status_flags & O_NONBLOCK) != 0;
  row.device = raw.device;
  row.inode = raw.inode;
  // What is known of it may be older than this look.
  if (row.socket && row.socket->listening && raw.listening == 0) {
    row.socket->listening = false;
    row.name.replace(0, std::string_view("state=listen").size(), "state=unconnected");
  }
  return row;
}

std::optional<FdRow> observe_fd(int fd) {
  const int fd_flags = ::fcntl(fd, F_GETFD);
  if (fd_flags < 0) return std::nullopt;
  const int status_flags = ::fcntl(fd, F_GETFL);
  struct stat status {};
  if (::fstat(fd, &status) < 0) return std::nullopt;
  FdRow row;
  row.number = fd;
  // A socket's link in /proc says no more than its inode.
  const bool is_socket = S_ISSOCK(status.st_mode);
  describe_by_link(status.st_mode,
                   is_socket ? "socket:[" + std::to_string(status.st_ino) + ']' : link_target(fd), row);
  row.mode = access_mode(status_flags);
  row.close_on_exec = (fd_flags & FD_CLOEXEC) != 0;
  row.non_blocking = (status_flags & O_NONBLOCK) != 0;
  row.device = status.st_dev;
  row.inode = status.st_ino;
  if (is_socket) describe_socket(fd, row);
  return row;
}

std::optional<FdRow> observe_queue(int fd) {
  const auto waiting = waiting_clients(fd);
  auto row = waiting ? observe_fd(fd) : std::nullopt;
  if (row && row->socket) row->socket->waiting = waiting;
  return row;
}

FdTable observe_fds() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), ::closedir);
  if (!directory) fail(errno, "opendir", "/proc/self/fd");
  FdTable table;
  while (const dirent* const entry = ::readdir(directory.get())) {
    const auto number = parse_decimal(entry->d_name, INT_MAX);
    if (!number || static_cast<int>(*number) == ::dirfd(directory.get())) continue;
    if (auto row = observe_fd(static_cast<int>(*number))) table.push_back(std::move(*row));
  }
  std::ranges::sort(table, {}, &FdRow::number);
  return table;
}

}  // namespace fdchain
