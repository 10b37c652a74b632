// What `--listen` can ask for: every kind of systemd.socket(5), as values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

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

/// Family (NETLINK_ROUTE, …) and multicast groups of netlink(7).
struct NetlinkAddress {
  int family = 0;
  std::uint32_t groups = 0;  ///< a bit for each of the groups 1 to 32: nl_groups, as in ListenNetlink=
  friend bool operator==(const NetlinkAddress&, const NetlinkAddress&) = default;
};

/// Which time stamps come with what is received.
enum class Timestamping { off, us, ns };

/// One `--listen KIND:ADDRESS[,OPTION…]`. listen_options.h has the options in words; what each of them does
/// is said in systemd.socket(5).
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
  mode_t directory_mode = 0755;  ///< of the directories above the path that are made for it
  std::string user;              ///< owner of the path, by name or number; empty to leave it
  std::string group;
  std::vector<std::string> symlinks;  ///< made beside the path, and leading to it

  int backlog = std::numeric_limits<int>::max();  ///< of listen(2); the kernel caps it at net.core.somaxconn
  bool accept = false;                            ///< a run for each connection
  int max_connections = 64;                       ///< … as many at a time

  std::optional<bool> v6_only;  ///< nothing: as net.ipv6.bindv6only has it
  bool free_bind = false;
  bool transparent = false;
  bool reuse_port = false;
  std::string bind_to_device;

  bool no_delay = false;
  bool keep_alive = false;
  std::optional<int> keep_alive_time;  ///< seconds
  std::optional<int> keep_alive_interval;
  std::optional<int> keep_alive_probes;
  std::optional<int> defer_accept;  ///< seconds
  std::string congestion;

  bool broadcast = false;
  bool pass_credentials = false;
  bool pass_security = false;
  bool pass_packet_info = false;
  Timestamping timestamping = Timestamping::off;
  std::optional<int> receive_buffer;  ///< bytes
  std::optional<int> send_buffer;
  std::optional<int> priority;
  std::optional<int> mark;
  std::optional<int> ip_tos;
  std::optional<int> ip_ttl;

  std::optional<int> pipe_size;           ///< bytes; of a FIFO
  std::optional<int> queue_max_messages;  ///< of a message queue that is made
  std::optional<int> queue_message_size;  ///< bytes
  bool writable = false;                  ///< of a special file

  std::string text;  ///< as it was typed, for messages; of a unit: as it could have been
  std::string unit;  ///< the .socket file that asks for it; empty for --listen

  friend bool operator==(const ListenSpec&, const ListenSpec&) = default;
};

/// Reads one --listen value. Throws Failure naming the value and what is wrong with it.
///
/// Without a KIND the address is one of systemd-socket-activate's: a port or an IP address is tcp, a path or
/// an @abstract name a unix stream socket.
ListenSpec parse_listen_spec(std::string_view text);

/// Reads the address of a kind alone. Throws Failure with the reason, and nothing else, as its text.
decltype(ListenSpec::address) parse_address(ListenSpec::Kind kind, std::string_view address);

/// The address as parse_address() reads it: `127.0.0.1:8080`, `/run/x.sock`.
std::string address_text(const ListenSpec& spec);

/// `tcp:127.0.0.1:8080`.
std::string kind_and_address(const ListenSpec& spec);

/// The whole of it as parse_listen_spec() reads it.
std::string to_text(const ListenSpec& spec);

/// Who asks for it, for messages: `--listen TEXT`, or `--unit FILE: TEXT`.
std::string who_asks(const ListenSpec& spec);

}  // namespace fdchain
