// What `--listen` can ask for: every kind of systemd.socket(5), as values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace fdchain {

/// An IPv4 or IPv6 address with a port. An empty `ip` means every address, IPv6 and IPv4 alike.
struct InetAddress {
  std::string ip;
  std::uint16_t port = 0;
  std::string scope;  ///< interface of a link-local address: `[fe80::1]:8080%eth0`
  friend bool operator==(const InetAddress&, const InetAddress&) = default;
};

/// A file system path, an abstract socket name (`@name`) or a message queue name, by the kind it is for.
struct PathAddress {
  std::string path;
  friend bool operator==(const PathAddress&, const PathAddress&) = default;
};

/// CID and port of vsock(7).
struct VsockAddress {
  std::uint32_t cid = 0;
  std::uint32_t port = 0;
  friend bool operator==(const VsockAddress&, const VsockAddress&) = default;
};

/// Family (NETLINK_ROUTE, …) and multicast group of netlink(7).
struct NetlinkAddress {
  int family = 0;
  std::uint32_t group = 0;
  friend bool operator==(const NetlinkAddress&, const NetlinkAddress&) = default;
};

/// One `--listen KIND:ADDRESS[,name=NAME][,mode=MODE][,backlog=N]`.
struct ListenSpec {
  enum class Kind {
    tcp,
    udp,
    unix_stream,
    unix_dgram,
    unix_seqpacket,
    vsock,
    fifo,
    netlink,
    mqueue,
    special
  };

  Kind kind = Kind::tcp;
  std::variant<InetAddress, PathAddress, VsockAddress, NetlinkAddress> address;
  std::optional<std::string> name;  ///< its place in LISTEN_FDNAMES
  mode_t mode = 0666;  ///< of the path that is made for it; systemd's SocketMode= has the same default
  int backlog = 4096;  ///< of listen(2); the kernel caps it at net.core.somaxconn
  std::string text;    ///< as it was typed, for messages

  friend bool operator==(const ListenSpec&, const ListenSpec&) = default;
};

/// Reads one --listen value. Throws Failure naming the value and what is wrong with it.
///
/// Without a KIND the address is one of systemd-socket-activate's: a port or an IP address is tcp, a path or
/// an
/// @abstract name a unix stream socket.
ListenSpec parse_listen_spec(std::string_view text);

}  // namespace fdchain
