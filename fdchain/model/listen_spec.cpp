#include "fdchain/model/listen_spec.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

using Kind = ListenSpec::Kind;

constexpr std::array kind_names{
    std::pair{std::string_view("tcp"), Kind::tcp},
    std::pair{std::string_view("udp"), Kind::udp},
    std::pair{std::string_view("unix"), Kind::unix_stream},
    std::pair{std::string_view("unix-dgram"), Kind::unix_dgram},
    std::pair{std::string_view("unix-seqpacket"), Kind::unix_seqpacket},
    std::pair{std::string_view("vsock"), Kind::vsock},
    std::pair{std::string_view("fifo"), Kind::fifo},
    std::pair{std::string_view("netlink"), Kind::netlink},
    std::pair{std::string_view("mqueue"), Kind::mqueue},
    std::pair{std::string_view("special"), Kind::special},
};

// As systemd.socket(5) names them in ListenNetlink=.
constexpr std::array netlink_families{
    std::pair{std::string_view("route"), NETLINK_ROUTE},
    std::pair{std::string_view("nflog"), NETLINK_NFLOG},
    std::pair{std::string_view("xfrm"), NETLINK_XFRM},
    std::pair{std::string_view("selinux"), NETLINK_SELINUX},
    std::pair{std::string_view("iscsi"), NETLINK_ISCSI},
    std::pair{std::string_view("audit"), NETLINK_AUDIT},
    std::pair{std::string_view("fib-lookup"), NETLINK_FIB_LOOKUP},
    std::pair{std::string_view("connector"), NETLINK_CONNECTOR},
    std::pair{std::string_view("netfilter"), NETLINK_NETFILTER},
    std::pair{std::string_view("ip6-fw"), NETLINK_IP6_FW},
    std::pair{std::string_view("dnrtmsg"), NETLINK_DNRTMSG},
    std::pair{std::string_view("kobject-uevent"), NETLINK_KOBJECT_UEVENT},
    std::pair{std::string_view("generic"), NETLINK_GENERIC},
    std::pair{std::string_view("scsitransport"), NETLINK_SCSITRANSPORT},
    std::pair{std::string_view("ecryptfs"), NETLINK_ECRYPTFS},
    std::pair{std::string_view("rdma"), NETLINK_RDMA},
};

constexpr std::size_t longest_unix_path = 107;  // sun_path has room for 108 with the ending zero

template <typename Table>
auto find(const Table& table, std::string_view name) {
  return std::ranges::find(table, name, [](const auto& entry) { return entry.first; });
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw Failure("--listen " + printable(text) + ": " + std::string(why));
}

std::uint16_t parse_port(std::string_view port, std::string_view text) {
  if (port.empty()) refuse(text, "no port given");
  const auto number = parse_decimal(port, 65535);
  if (!number || *number == 0) refuse(text, "not a port from 1 to 65535");
  return static_cast<std::uint16_t>(*number);
}

void check_ip(int family, const std::string& ip, std::string_view text) {
  std::array<unsigned char, sizeof(in6_addr)> ignored{};
  if (::inet_pton(family, ip.c_str(), ignored.data()) == 1) return;
  refuse(text, family == AF_INET ? "not an IPv4 address with a port" : "not an IPv6 address in [brackets]");
}

// `8080`, `127.0.0.1:8080`, `[::1]:8080`, `[fe80::1]:8080%lo`.
InetAddress parse_inet(std::string_view address, std::string_view text) {
  InetAddress result;
  if (address.starts_with('[')) {
    const std::size_t close = address.find("]:");
    if (close == std::string_view::npos) refuse(text, "an IPv6 address is [ADDRESS]:PORT");
    result.ip = address.substr(1, close - 1);
    check_ip(AF_INET6, result.ip, text);
    std::string_view port = address.substr(close + 2);
    if (const std::size_t percent = port.find('%'); percent != std::string_view::npos) {
      result.scope = port.substr(percent + 1);
      if (result.scope.empty()) refuse(text, "no interface after %");
      port = port.substr(0, percent);
    }
    result.port = parse_port(port, text);
    return result;
  }
  if (const std::size_t colon = address.rfind(':'); colon != std::string_view::npos) {
    result.ip = address.substr(0, colon);
    check_ip(AF_INET, result.ip, text);
    address = address.substr(colon + 1);
  }
  result.port = parse_port(address, text);
  return result;
}

PathAddress parse_unix(std::string_view address, std::string_view text) {
  if (address.size() > longest_unix_path) refuse(text, "longer than the 107 bytes of a unix socket address");
  if (address.starts_with('/')) return {std::string(address)};
  if (address.starts_with('@') && address.size() > 1) return {std::string(address)};
  refuse(text, "a unix socket address is an absolute /path or an @abstract name");
}

PathAddress parse_path(std::string_view address, std::string_view text) {
  if (!address.starts_with('/')) refuse(text, "not an absolute path");
  return {std::string(address)};
}

PathAddress parse_queue(std::string_view address, std::string_view text) {
  const bool one_name =
      address.starts_with('/') && address.size() > 1 && address.find('/', 1) == std::string_view::npos;
  if (!one_name) refuse(text, "a message queue is named /NAME, without another slash");
  return {std::string(address)};
}

// `CID:PORT`, or `:PORT` for every CID.
VsockAddress parse_vsock(std::string_view address, std::string_view text) {
  const std::size_t colon = address.find(':');
  if (colon == std::string_view::npos) refuse(text, "a vsock address is CID:PORT or :PORT");
  constexpr auto max = std::numeric_limits<std::uint32_t>::max();
  const auto cid = colon == 0 ? std::optional<std::uint64_t>(VMADDR_CID_ANY)
                              : parse_decimal(address.substr(0, colon), max);
  const auto port = parse_decimal(address.substr(colon + 1), max);
  if (!cid || !port) refuse(text, "a vsock address is CID:PORT or :PORT");
  return {static_cast<std::uint32_t>(*cid), static_cast<std::uint32_t>(*port)};
}

// `route 1361`: the family's name and, if wanted, a multicast group.
NetlinkAddress parse_netlink(std::string_view address, std::string_view text) {
  const std::size_t blank = address.find(' ');
  const auto* const family = find(netlink_families, address.substr(0, blank));
  if (family == netlink_families.end()) refuse(text, "not a netlink family that systemd.socket(5) names");
  NetlinkAddress result{family->second, 0};
  if (blank != std::string_view::npos) {
    const auto group = parse_decimal(address.substr(blank + 1), std::numeric_limits<std::uint32_t>::max());
    if (!group) refuse(text, "not a netlink multicast group");
    result.group = static_cast<std::uint32_t>(*group);
  }
  return result;
}

mode_t parse_mode(std::string_view value, std::string_view text) {
  mode_t mode = 0;
  const char* const end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data(), end, mode, 8);
  if (error != std::errc() || stopped != end || mode > 07777) refuse(text, "mode is octal, 0 to 7777");
  return mode;
}

bool makes_a_path(const ListenSpec& spec) {
  const auto* const path = std::get_if<PathAddress>(&spec.address);
  return path != nullptr && spec.kind != Kind::special && !path->path.starts_with('@');
}

bool listens(Kind kind) {
  return kind == Kind::tcp || kind == Kind::unix_stream || kind == Kind::unix_seqpacket ||
         kind == Kind::vsock;
}

/// Which of the options that not every kind has were given.
struct Given {
  bool mode = false;
  bool backlog = false;
};

void refuse_options_without_effect(const ListenSpec& spec, const Given& given) {
  if (given.mode && !makes_a_path(spec)) refuse(spec.text, "mode is for what is made under a path");
  if (given.backlog && !listens(spec.kind)) refuse(spec.text, "backlog is for what accepts connections");
}

// Takes `,key=value` pairs off the end of `address` until what is left is the address itself.
std::string_view take_options(std::string_view address, ListenSpec& spec, Given& given) {
  while (true) {
    const std::size_t comma = address.rfind(',');
    if (comma == std::string_view::npos) return address;
    const std::string_view option = address.substr(comma + 1);
    const std::size_t equals = option.find('=');
    if (equals == std::string_view::npos) return address;  // a comma in a path
    const std::string_view key = option.substr(0, equals);
    const std::string_view value = option.substr(equals + 1);
    const bool again =
        (key == "name" && spec.name) || (key == "mode" && given.mode) || (key == "backlog" && given.backlog);
    if (again) refuse(spec.text, std::string(key) + " is there twice");
    if (key == "name") {
      const bool bad = value.empty() || value.size() > 255 || value.find(':') != std::string_view::npos ||
                       printable(value, 256) != value;
      if (bad) refuse(spec.text, "a name has 1 to 255 printable characters and no colon");
      spec.name = value;
    } else if (key == "mode") {
      spec.mode = parse_mode(value, spec.text);
      given.mode = true;
    } else if (key == "backlog") {
      const auto backlog = parse_decimal(value, std::numeric_limits<int>::max());
      if (!backlog) refuse(spec.text, "backlog is a number");
      spec.backlog = static_cast<int>(*backlog);
      given.backlog = true;
    } else {
      refuse(spec.text, "unknown option '" + printable(key) + "'; there are name, mode and backlog");
    }
    address = address.substr(0, comma);
  }
}

// Splits KIND: off the front; without one, the address says what it must be.
std::string_view take_kind(std::string_view text, ListenSpec& spec) {
  const std::size_t colon = text.find(':');
  const auto* const kind =
      colon == std::string_view::npos ? kind_names.end() : find(kind_names, text.substr(0, colon));
  if (kind != kind_names.end()) {
    spec.kind = kind->second;
    return text.substr(colon + 1);
  }
  const bool is_path = text.starts_with('/') || text.starts_with('@');
  const bool is_inet = text.starts_with('[') || (!text.empty() && text[0] >= '0' && text[0] <= '9');
  if (!is_path && !is_inet) {
    refuse(
        text,
        "not KIND:ADDRESS; KIND is one of tcp, udp, unix, unix-dgram, unix-seqpacket, vsock, fifo, netlink, "
        "mqueue, special");
  }
  spec.kind = is_path ? Kind::unix_stream : Kind::tcp;
  return text;
}

}  // namespace

ListenSpec parse_listen_spec(std::string_view text) {
  ListenSpec spec;
  Given given;
  spec.text = text;
  if (text.find('\0') != std::string_view::npos) refuse(text, "a zero byte");
  const std::string_view address = take_options(take_kind(text, spec), spec, given);
  switch (spec.kind) {
    case Kind::tcp:
    case Kind::udp: spec.address = parse_inet(address, text); break;
    case Kind::unix_stream:
    case Kind::unix_dgram:
    case Kind::unix_seqpacket: spec.address = parse_unix(address, text); break;
    case Kind::vsock: spec.address = parse_vsock(address, text); break;
    case Kind::netlink: spec.address = parse_netlink(address, text); break;
    case Kind::mqueue: spec.address = parse_queue(address, text); break;
    case Kind::fifo:
    case Kind::special: spec.address = parse_path(address, text); break;
  }
  refuse_options_without_effect(spec, given);
  return spec;
}

}  // namespace fdchain
