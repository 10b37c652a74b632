#include "fdchain/system/socket/listening_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/limits.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/accounts.h"
#include "fdchain/system/socket/socket_options.h"

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
      const auto number = parse_decimal(inet.scope, UINT32_MAX);
      in6.sin6_scope_id = number ? static_cast<std::uint32_t>(*number) : ::if_nametoindex(inet.scope.c_str());
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

void append(std::vector<std::string>& remarks, std::vector<std::string> more) {
  for (std::string& remark : more) remarks.push_back(std::move(remark));
}

void bind_and_listen(const OwnedFd& socket, const Address& address, const ListenSpec& spec, bool listens) {
  check(::bind(socket.get(), address.get(), address.length), "bind");
  if (listens) check(::listen(socket.get(), spec.backlog), "listen");
}

// As systemd does for a bare port: one IPv6 socket that takes IPv4 too, or IPv4 alone where there is no IPv6.
Opened open_inet(const ListenSpec& spec, const InetAddress& inet) {
  const int type = spec.kind == Kind::tcp ? SOCK_STREAM : SOCK_DGRAM;
  bool ipv6 = inet.ip.empty() || inet.ip.find(':') != std::string::npos;
  OwnedFd socket(::socket(ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0));
  if (!socket && inet.ip.empty() && errno == EAFNOSUPPORT) {
    ipv6 = false;
    socket = make_socket(AF_INET, type);
  }
  check(socket.get(), "socket");
  if (spec.kind == Kind::tcp) {
    const int on = 1;
    check(::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt SO_REUSEADDR");
  }
  Opened opened{std::move(socket), {}, {}, {}};
  append(opened.remarks, set_options_before_bind(opened.fd, spec));
  bind_and_listen(opened.fd, address_of(inet, ipv6), spec, spec.kind == Kind::tcp);
  return opened;
}

// Whether a socket stands at the path and nobody is behind it. Asked with a datagram socket, which whoever is
// there never hears of: a stream socket would be his next client.
bool is_stale_socket(const Address& address, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) < 0 || !S_ISSOCK(status.st_mode)) return false;
  const OwnedFd probe = make_socket(AF_UNIX, SOCK_DGRAM);
  // EPROTOTYPE is a living socket of another type.
  return ::connect(probe.get(), address.get(), address.length) < 0 && errno == ECONNREFUSED;
}

// That very one: somebody else may have found it, too, and stand there now.
void remove_stale_socket(const Address& address, const std::string& path) {
  MadeName found(MadeName::Kind::path, path);
  if (!is_stale_socket(address, path)) return found.release();
  if (!found.remove()) fail(errno, "unlink", path);
}

// Who sets a mode means it, whatever the umask.
template <typename Call>
auto with_umask(mode_t mask, Call call) {
  const mode_t before = ::umask(mask);
  const auto result = call();
  const int error = errno;
  ::umask(before);
  errno = error;
  return result;
}

void bind_with_mode(const OwnedFd& socket, const Address& address, mode_t mode) {
  check(with_umask(~mode & 0777, [&] { return ::bind(socket.get(), address.get(), address.length); }),
        "bind");
}

/// Who shall own a path; -1 leaves it.
struct Owner {
  uid_t user = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
};

// A user brings its own group along, as with SocketUser=.
Owner owner_for(const ListenSpec& spec) {
  Owner owner;
  if (!spec.user.empty()) {
    const auto number = parse_decimal(spec.user, largest_id);
    const auto user = number ? find_user(static_cast<uid_t>(*number)) : find_user(spec.user);
    // In a unit a number has to be somebody's, as for systemd.
    if (!user && (!number || !spec.unit.empty()))
      throw Failure(who_asks(spec) + ": there is no user " + printable(spec.user) + " in /etc/passwd");
    owner.user = user ? user->uid : static_cast<uid_t>(*number);
    if (user) owner.group = user->gid;
  }
  if (!spec.group.empty()) {
    const auto number = parse_decimal(spec.group, largest_id);
    const bool is_known = !number || find_group(static_cast<gid_t>(*number));
    const auto group = number ? static_cast<gid_t>(*number) : find_group(spec.group);
    if (!group || (!is_known && !spec.unit.empty()))
      throw Failure(who_asks(spec) + ": there is no group " + printable(spec.group) + " in /etc/group");
    owner.group = *group;
  }
  return owner;
}

void give_to(const Owner& owner, const std::string& path) {
  const Owner nobody;
  if (owner.user == nobody.user && owner.group == nobody.group) return;
  check(::fchownat(AT_FDCWD, path.c_str(), owner.user, owner.group, AT_SYMLINK_NOFOLLOW), "chown", path);
}

std::string describe_owner(mode_t mode, uid_t user, gid_t group) {
  return fmt::format("mode {:04o} of {}:{}", mode & 0777, user, group);
}

// What is there already may be anybody's: it has to be what would have been made, as for systemd.
void check_found(const ListenSpec& spec, const OwnedFd& fd, const Owner& owner) {
  struct stat status {};
  check(::fstat(fd.get(), &status), "fstat");
  const Owner left;
  const uid_t user = owner.user == left.user ? ::geteuid() : owner.user;
  const gid_t group = owner.group == left.group ? ::getegid() : owner.group;
  const bool is_owned = (status.st_uid == user || status.st_uid == ::geteuid()) &&
                        (status.st_gid == group || status.st_gid == ::getegid());
  if (is_owned && (status.st_mode & 0777) == (spec.mode & 0777)) return;
  throw Failure(who_asks(spec) +
                ": File exists: " + describe_owner(status.st_mode, status.st_uid, status.st_gid) + ", and " +
                describe_owner(spec.mode, user, group) + " is asked for");
}

// For systemd a link that cannot be made is no reason not to listen.
void make_links(const ListenSpec& spec, const std::string& path, Opened& opened) {
  for (const std::string& link : spec.symlinks) {
    try {
      opened.directories.make_parents(link, spec.directory_mode);
      if (::symlink(path.c_str(), link.c_str()) == 0) {
        opened.made.emplace_back(MadeName::Kind::path, link);
        continue;
      }
      const int error = errno;
      std::array<char, PATH_MAX> target{};
      const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
      const bool is_right =
          length >= 0 && path == std::string_view(target.data(), static_cast<std::size_t>(length));
      if (!is_right) fail(error, "symlink", link);
    } catch (const std::system_error& error) {
      if (spec.unit.empty()) throw;
      opened.remarks.emplace_back(error.what());
    }
  }
}

Opened open_unix(const ListenSpec& spec, const PathAddress& unix_path) {
  const int type = spec.kind == Kind::unix_stream  ? SOCK_STREAM
                   : spec.kind == Kind::unix_dgram ? SOCK_DGRAM
                                                   : SOCK_SEQPACKET;
  const Address address = address_of(unix_path);
  Opened opened{make_socket(AF_UNIX, type), {}, {}, {}};
  const bool abstract = unix_path.path[0] == '@';
  const Owner owner = owner_for(spec);
  if (!abstract) opened.directories.make_parents(unix_path.path, spec.directory_mode);
  if (!abstract) remove_stale_socket(address, unix_path.path);
  bind_with_mode(opened.fd, address, spec.mode);
  if (!abstract) {
    opened.made.emplace_back(MadeName::Kind::path, unix_path.path);
    give_to(owner, unix_path.path);
  }
  if (type != SOCK_DGRAM) check(::listen(opened.fd.get(), spec.backlog), "listen");
  make_links(spec, unix_path.path, opened);
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
  nl.nl_groups = netlink.groups;
  OwnedFd socket = make_socket(AF_NETLINK, SOCK_RAW, netlink.family);
  const Address address = make_address(nl);
  check(::bind(socket.get(), address.get(), address.length), "bind");
  return socket;
}

Opened open_fifo(const ListenSpec& spec, const PathAddress& fifo) {
  const Owner owner = owner_for(spec);
  Opened opened;
  opened.directories.make_parents(fifo.path, spec.directory_mode);
  const int made = with_umask(~spec.mode & 0777, [&] { return ::mkfifo(fifo.path.c_str(), spec.mode); });
  if (made < 0 && errno != EEXIST) fail(errno, "mkfifo");
  if (made == 0) opened.made.emplace_back(MadeName::Kind::path, fifo.path);
  // Read-write, as systemd does: a FIFO with a writer of its own never ends between two clients.
  opened.fd = OwnedFd(
      check(::open(fifo.path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK), "open"));
  struct stat status {};
  check(::fstat(opened.fd.get(), &status), "fstat");
  if (!S_ISFIFO(status.st_mode)) throw Failure(who_asks(spec) + ": there, and not a FIFO");
  if (made < 0) check_found(spec, opened.fd, owner);
  // Non-blocking was for the open alone: what stands there may be a device.
  check(::fcntl(opened.fd.get(), F_SETFL, 0), "fcntl F_SETFL");
  give_to(owner, fifo.path);
  if (spec.pipe_size && ::fcntl(opened.fd.get(), F_SETPIPE_SZ, *spec.pipe_size) < 0) {
    if (spec.unit.empty()) fail(errno, "fcntl F_SETPIPE_SZ");
    opened.remarks.push_back("fcntl F_SETPIPE_SZ: " + std::generic_category().message(errno));
  }
  make_links(spec, fifo.path, opened);
  return opened;
}

Opened open_mqueue(const ListenSpec& spec, const PathAddress& queue) {
  mq_attr attributes{};
  attributes.mq_maxmsg = spec.queue_max_messages.value_or(0);
  attributes.mq_msgsize = spec.queue_message_size.value_or(0);
  const bool shaped = spec.queue_max_messages && spec.queue_message_size;
  int fd = with_umask(0, [&] {
    return ::mq_open(queue.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, spec.mode,
                     shaped ? &attributes : nullptr);
  });
  Opened opened;
  if (fd >= 0)
    opened.made.emplace_back(MadeName::Kind::message_queue, queue.path);
  else if (errno == EEXIST)
    fd = check(::mq_open(queue.path.c_str(), O_RDWR | O_CLOEXEC), "mq_open");
  else
    fail(errno, "mq_open");
  opened.fd = OwnedFd(fd);
  if (opened.made.empty()) check_found(spec, opened.fd, Owner());
  return opened;
}

OwnedFd open_special(const ListenSpec& spec, const PathAddress& special) {
  const int access = spec.writable ? O_RDWR : O_RDONLY;
  OwnedFd fd(
      check(::open(special.path.c_str(), access | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW), "open"));
  struct stat status {};
  check(::fstat(fd.get(), &status), "fstat");
  if (!S_ISCHR(status.st_mode) && !S_ISREG(status.st_mode)) {
    throw Failure(who_asks(spec) + ": neither a character device nor a regular file");
  }
  // Non-blocking was for the open alone, which must not wait for a device.
  check(::fcntl(fd.get(), F_SETFL, 0), "fcntl F_SETFL");
  return fd;
}

Opened open_kind(const ListenSpec& spec) {
  switch (spec.kind) {
    case Kind::tcp:
    case Kind::udp: return open_inet(spec, std::get<InetAddress>(spec.address));
    case Kind::unix_stream:
    case Kind::unix_dgram:
    case Kind::unix_seqpacket: return open_unix(spec, std::get<PathAddress>(spec.address));
    case Kind::vsock: return {open_vsock(spec, std::get<VsockAddress>(spec.address)), {}, {}, {}};
    case Kind::netlink: return {open_netlink(std::get<NetlinkAddress>(spec.address)), {}, {}, {}};
    case Kind::fifo: return open_fifo(spec, std::get<PathAddress>(spec.address));
    case Kind::mqueue: return open_mqueue(spec, std::get<PathAddress>(spec.address));
    case Kind::special: return {open_special(spec, std::get<PathAddress>(spec.address)), {}, {}, {}};
  }
  return {};
}

bool is_socket(Kind kind) { return kind != Kind::fifo && kind != Kind::mqueue && kind != Kind::special; }

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

}  // namespace

MadeName::MadeName(Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {
  identity_ = look().value_or(Identity{});
}

std::optional<MadeName::Identity> MadeName::look() const {
  // A message queue has no path of its own; its descriptor tells which one it is.
  OwnedFd queue;
  if (kind_ == Kind::message_queue) {
    queue = OwnedFd(::mq_open(name_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!queue) return std::nullopt;
  }
  struct statx status {};
  const int result =
      queue ? ::statx(queue.get(), "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status)
            : ::statx(AT_FDCWD, name_.c_str(), AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &status);
  if (result < 0) return std::nullopt;
  const bool is_born = (status.stx_mask & STATX_BTIME) != 0;
  constexpr std::uint64_t second = 1'000'000'000;
  return Identity{
      ::makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino,
      is_born ? static_cast<std::uint64_t>(status.stx_btime.tv_sec) * second + status.stx_btime.tv_nsec : 0};
}

MadeName MadeName::known(Kind kind, std::string_view words) {
  std::array<std::uint64_t, 3> numbers{};
  for (std::uint64_t& number : numbers) {
    const std::size_t colon = words.find(':');
    const auto read = parse_decimal(words.substr(0, colon), UINT64_MAX);
    if (colon == std::string_view::npos || !read) return {kind, "", {}};
    number = *read;
    words.remove_prefix(colon + 1);
  }
  return {kind, std::string(words), {numbers[0], numbers[1], numbers[2]}};
}

std::string MadeName::to_words() const {
  return fmt::format("{}:{}:{}:{}", identity_.device, identity_.inode, identity_.birth, name_);
}

MadeName::MadeName(MadeName&& other) noexcept
    : kind_(other.kind_), name_(std::exchange(other.name_, {})), identity_(other.identity_) {}

bool MadeName::remove() noexcept {
  bool gone = true;
  if (!name_.empty() && look() == identity_) {
    const bool removed = kind_ == Kind::path ? ::unlink(name_.c_str()) == 0 : ::mq_unlink(name_.c_str()) == 0;
    gone = removed || errno == ENOENT;
  }
  name_.clear();
  return gone;
}

std::vector<std::pair<MadeName::Kind, std::string>> names_made_for(const ListenSpec& spec) {
  const auto* const address = std::get_if<PathAddress>(&spec.address);
  if (address == nullptr || spec.kind == Kind::special || address->path.starts_with('@')) return {};
  const bool queue = spec.kind == Kind::mqueue;
  std::vector<std::pair<MadeName::Kind, std::string>> names;
  names.emplace_back(queue ? MadeName::Kind::message_queue : MadeName::Kind::path, address->path);
  for (const std::string& link : spec.symlinks) names.emplace_back(MadeName::Kind::path, link);
  return names;
}

Opened open_listening(const ListenSpec& spec) try {
  Opened opened = open_kind(spec);
  if (is_socket(spec.kind)) append(opened.remarks, set_options_after_bind(opened.fd, spec));
  return opened;
} catch (const std::system_error& error) {
  throw Failure(who_asks(spec) + ": " + error.what() + cause_of(spec, error.code().value()));
}

ListenSpec as_bound(const ListenSpec& spec, const OwnedFd& fd) {
  ListenSpec bound = spec;
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* const name = reinterpret_cast<sockaddr*>(&storage);
  auto* const inet = std::get_if<InetAddress>(&bound.address);
  auto* const vsock = std::get_if<VsockAddress>(&bound.address);
  if (inet == nullptr && vsock == nullptr) return bound;
  check(::getsockname(fd.get(), name, &length), "getsockname");
  // sin6_port is where sin_port is.
  if (inet != nullptr) inet->port = ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  if (vsock != nullptr) vsock->port = reinterpret_cast<const sockaddr_vm*>(&storage)->svm_port;
  return bound;
}

}  // namespace fdchain
