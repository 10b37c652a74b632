#include "fdchain/system/listening_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

using Kind = ListenSpec::Kind;

/// A socket address of any family with its length.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

template <typename Sockaddr>
Address make_address(const Sockaddr& specific, std::size_t length = sizeof(Sockaddr)) {
  Address address;
  std::memcpy(&address.storage, &specific, length);
  address.length = static_cast<socklen_t>(length);
  return address;
}

Address address_of(const InetAddress& inet, bool ipv6) {
  if (ipv6) {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(inet.port);
    if (!inet.ip.empty()) ::inet_pton(AF_INET6, inet.ip.c_str(), &in6.sin6_addr);
    if (!inet.scope.empty()) {
      in6.sin6_scope_id = ::if_nametoindex(inet.scope.c_str());
      if (in6.sin6_scope_id == 0) fail(errno, "interface", inet.scope);
    }
    return make_address(in6);
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(inet.port);
  if (!inet.ip.empty()) ::inet_pton(AF_INET, inet.ip.c_str(), &in.sin_addr);
  return make_address(in);
}

Address address_of(const PathAddress& unix_path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, unix_path.path.data(), unix_path.path.size());
  const bool abstract = unix_path.path[0] == '@';
  if (abstract) un.sun_path[0] = '\0';
  // An abstract name is all of its bytes; a path ends with a zero.
  return make_address(un, offsetof(sockaddr_un, sun_path) + unix_path.path.size() + (abstract ? 0 : 1));
}

OwnedFd make_socket(int family, int type, int protocol = 0) {
  return OwnedFd(check(::socket(family, type | SOCK_CLOEXEC, protocol), "socket"));
}

void switch_on(const OwnedFd& socket, int level, int option) {
  const int on = 1;
  check(::setsockopt(socket.get(), level, option, &on, sizeof on), "setsockopt");
}

void bind_and_listen(const OwnedFd& socket, const Address& address, const ListenSpec& spec, bool listens) {
  check(::bind(socket.get(), address.get(), address.length), "bind");
  if (listens) check(::listen(socket.get(), spec.backlog), "listen");
}

// As systemd does for a bare port: one IPv6 socket that takes IPv4 too, or IPv4 alone where there is no IPv6.
OwnedFd open_inet(const ListenSpec& spec, const InetAddress& inet) {
  const int type = spec.kind == Kind::tcp ? SOCK_STREAM : SOCK_DGRAM;
  bool ipv6 = inet.ip.empty() || inet.ip.find(':') != std::string::npos;
  OwnedFd socket(::socket(ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0));
  if (!socket && inet.ip.empty() && errno == EAFNOSUPPORT) {
    ipv6 = false;
    socket = make_socket(AF_INET, type);
  }
  check(socket.get(), "socket");
  if (spec.kind == Kind::tcp) switch_on(socket, SOL_SOCKET, SO_REUSEADDR);
  bind_and_listen(socket, address_of(inet, ipv6), spec, spec.kind == Kind::tcp);
  return socket;
}

// Whether a socket stands at the path and nobody is behind it.
bool is_stale_socket(const Address& address, const std::string& path, int type) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) < 0 || !S_ISSOCK(status.st_mode)) return false;
  const OwnedFd probe = make_socket(AF_UNIX, type | SOCK_NONBLOCK);
  // EPROTOTYPE is a living socket of another type, EAGAIN one with a full backlog.
  return ::connect(probe.get(), address.get(), address.length) < 0 && errno == ECONNREFUSED;
}

void bind_with_mode(const OwnedFd& socket, const Address& address, mode_t mode) {
  const mode_t before = ::umask(~mode & 0777);
  const int result = ::bind(socket.get(), address.get(), address.length);
  const int error = errno;
  ::umask(before);
  if (result < 0) fail(error, "bind");
}

Opened open_unix(const ListenSpec& spec, const PathAddress& unix_path) {
  const int type = spec.kind == Kind::unix_stream  ? SOCK_STREAM
                   : spec.kind == Kind::unix_dgram ? SOCK_DGRAM
                                                   : SOCK_SEQPACKET;
  const Address address = address_of(unix_path);
  OwnedFd socket = make_socket(AF_UNIX, type);
  const bool abstract = unix_path.path[0] == '@';
  if (!abstract && is_stale_socket(address, unix_path.path, type)) {
    check(::unlink(unix_path.path.c_str()), "unlink", unix_path.path);
  }
  bind_with_mode(socket, address, spec.mode);
  Opened opened{std::move(socket), std::nullopt};
  if (!abstract) opened.made.emplace(MadeName::Kind::path, unix_path.path);
  if (type != SOCK_DGRAM) check(::listen(opened.fd.get(), spec.backlog), "listen");
  return opened;
}

OwnedFd open_vsock(const ListenSpec& spec, const VsockAddress& vsock) {
  sockaddr_vm vm{};
  vm.svm_family = AF_VSOCK;
  vm.svm_cid = vsock.cid;
  vm.svm_port = vsock.port;
  OwnedFd socket = make_socket(AF_VSOCK, SOCK_STREAM);
  bind_and_listen(socket, make_address(vm), spec, true);
  return socket;
}

OwnedFd open_netlink(const NetlinkAddress& netlink) {
  sockaddr_nl nl{};
  nl.nl_family = AF_NETLINK;
  OwnedFd socket = make_socket(AF_NETLINK, SOCK_RAW, netlink.family);
  const Address address = make_address(nl);
  check(::bind(socket.get(), address.get(), address.length), "bind");
  if (netlink.group != 0) {
    check(
        ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &netlink.group, sizeof netlink.group),
        "setsockopt NETLINK_ADD_MEMBERSHIP");
  }
  return socket;
}

Opened open_fifo(const ListenSpec& spec, const PathAddress& fifo) {
  const mode_t before = ::umask(~spec.mode & 0777);
  const int made = ::mkfifo(fifo.path.c_str(), spec.mode);
  const int error = errno;
  ::umask(before);
  if (made < 0 && error != EEXIST) fail(error, "mkfifo");
  Opened opened;
  if (made == 0) opened.made.emplace(MadeName::Kind::path, fifo.path);
  // Read-write, as systemd does: a FIFO with a writer of its own never ends between two clients.
  opened.fd = OwnedFd(check(::open(fifo.path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW), "open"));
  struct stat status {};
  check(::fstat(opened.fd.get(), &status), "fstat");
  if (!S_ISFIFO(status.st_mode))
    throw Failure("--listen " + printable(spec.text) + ": there, and not a FIFO");
  return opened;
}

Opened open_mqueue(const ListenSpec& spec, const PathAddress& queue) {
  const mode_t before = ::umask(0);
  int fd = ::mq_open(queue.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, spec.mode, nullptr);
  const int error = errno;
  ::umask(before);
  Opened opened;
  if (fd >= 0)
    opened.made.emplace(MadeName::Kind::message_queue, queue.path);
  else if (error == EEXIST)
    fd = check(::mq_open(queue.path.c_str(), O_RDWR | O_CLOEXEC), "mq_open");
  else
    fail(error, "mq_open");
  opened.fd = OwnedFd(fd);
  return opened;
}

OwnedFd open_special(const ListenSpec& spec, const PathAddress& special) {
  OwnedFd fd(check(::open(special.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), "open"));
  struct stat status {};
  check(::fstat(fd.get(), &status), "fstat");
  if (!S_ISCHR(status.st_mode) && !S_ISREG(status.st_mode)) {
    throw Failure("--listen " + printable(spec.text) + ": neither a character device nor a regular file");
  }
  // Non-blocking was for the open alone, which must not wait for a device.
  check(::fcntl(fd.get(), F_SETFL, 0), "fcntl F_SETFL");
  return fd;
}

Opened open_kind(const ListenSpec& spec) {
  switch (spec.kind) {
    case Kind::tcp:
    case Kind::udp: return {open_inet(spec, std::get<InetAddress>(spec.address)), std::nullopt};
    case Kind::unix_stream:
    case Kind::unix_dgram:
    case Kind::unix_seqpacket: return open_unix(spec, std::get<PathAddress>(spec.address));
    case Kind::vsock: return {open_vsock(spec, std::get<VsockAddress>(spec.address)), std::nullopt};
    case Kind::netlink: return {open_netlink(std::get<NetlinkAddress>(spec.address)), std::nullopt};
    case Kind::fifo: return open_fifo(spec, std::get<PathAddress>(spec.address));
    case Kind::mqueue: return open_mqueue(spec, std::get<PathAddress>(spec.address));
    case Kind::special: return {open_special(spec, std::get<PathAddress>(spec.address)), std::nullopt};
  }
  return {};
}

// What the errno alone does not say.
std::string cause_of(const ListenSpec& spec, int error) {
  if (error == EMFILE) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return ", RLIMIT_NOFILE is " + std::to_string(limit.rlim_cur);
  }
  const auto* const address = std::get_if<PathAddress>(&spec.address);
  if (error != EADDRINUSE || address == nullptr || address->path.starts_with('@')) return {};
  struct stat status {};
  if (::lstat(address->path.c_str(), &status) < 0) return {};
  return S_ISSOCK(status.st_mode) ? ", by a socket that somebody serves" : ", and what is there is no socket";
}

// A message queue has no path of its own; its descriptor tells which one it is.
int stat_name(MadeName::Kind kind, const std::string& name, struct stat& status) {
  if (kind == MadeName::Kind::path) return ::lstat(name.c_str(), &status);
  const OwnedFd queue(::mq_open(name.c_str(), O_RDONLY | O_CLOEXEC));
  return queue ? ::fstat(queue.get(), &status) : -1;
}

}  // namespace

MadeName::MadeName(Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {
  struct stat status {};
  if (stat_name(kind_, name_, status) < 0) return;
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

MadeName MadeName::known(Kind kind, std::string_view words) {
  const std::size_t first = words.find(':');
  const std::size_t second = first == std::string_view::npos ? first : words.find(':', first + 1);
  if (second == std::string_view::npos) return {kind, "", 0, 0};
  const auto device = parse_decimal(words.substr(0, first), UINT64_MAX);
  const auto inode = parse_decimal(words.substr(first + 1, second - first - 1), UINT64_MAX);
  if (!device || !inode) return {kind, "", 0, 0};
  return {kind, std::string(words.substr(second + 1)), *device, *inode};
}

std::string MadeName::to_words() const {
  return std::to_string(device_) + ':' + std::to_string(inode_) + ':' + name_;
}

MadeName::MadeName(MadeName&& other) noexcept
    : kind_(other.kind_),
      name_(std::exchange(other.name_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

void MadeName::remove() noexcept {
  if (name_.empty()) return;
  struct stat status {};
  const bool ours =
      stat_name(kind_, name_, status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
  if (ours && kind_ == Kind::path) ::unlink(name_.c_str());
  if (ours && kind_ == Kind::message_queue) ::mq_unlink(name_.c_str());
  name_.clear();
}

std::optional<std::pair<MadeName::Kind, std::string>> name_made_for(const ListenSpec& spec) {
  const auto* const address = std::get_if<PathAddress>(&spec.address);
  if (address == nullptr || spec.kind == Kind::special || address->path.starts_with('@')) return std::nullopt;
  const bool queue = spec.kind == Kind::mqueue;
  return std::pair(queue ? MadeName::Kind::message_queue : MadeName::Kind::path, address->path);
}

Opened open_listening(const ListenSpec& spec) try {
  return open_kind(spec);
} catch (const std::system_error& error) {
  throw Failure("--listen " + printable(spec.text) + ": " + error.what() +
                cause_of(spec, error.code().value()));
}

}  // namespace fdchain
