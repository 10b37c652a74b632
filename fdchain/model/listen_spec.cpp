#include "fdchain/model/listen_spec.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_options.h"
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

/// Why a text is none of what it should be.
[[noreturn]] void refuse(std::string_view why) { throw Failure(std::string(why)); }

bool is_ip(int family, std::string_view ip) {
  std::array<unsigned char, sizeof(in6_addr)> ignored{};
  return ::inet_pton(family, std::string(ip).c_str(), ignored.data()) == 1;
}

// What stands before the last colon and is no IPv4 address.
[[noreturn]] void refuse_host(const std::string& host, std::string_view address) {
  const std::string port(address.substr(host.size() + 1));
  const std::string brackets = "an IPv6 address stands in brackets: [";
  if (is_ip(AF_INET6, host)) refuse(brackets + host + "]:" + port);
  if (is_ip(AF_INET6, address)) refuse(brackets + std::string(address) + "]:PORT");
  if (host.empty() || host == "*") refuse("for every address of the machine give the port alone");
  if (host == "localhost") refuse("names are not looked up; write 127.0.0.1:" + port + " or [::1]:" + port);
  refuse("'" + printable(host) + "' is no IPv4 address, and names are not looked up");
}

[[noreturn]] void refuse_without_port(std::string_view address) {
  refuse("no port given; write " + std::string(address) + ":PORT, 0 for one that the kernel chooses");
}

// What has no colon and is no port either.
[[noreturn]] void refuse_as_port(std::string_view text) {
  if (is_ip(AF_INET, text)) refuse_without_port(text);
  refuse("not a port from 0 to 65535");
}

std::uint16_t parse_port(std::string_view port) {
  if (port.empty()) refuse("no port given");
  // As systemd reads it: in any base but that of a leading zero.
  const bool has_leading_zero = port.size() > 1 && port[0] == '0' && port[1] >= '0' && port[1] <= '9';
  const auto number = has_leading_zero ? std::nullopt : parse_as_systemd(port, 65535);
  if (!number) refuse_as_port(port);
  return static_cast<std::uint16_t>(*number);
}

// `8080`, `127.0.0.1:8080`, `[::1]:8080`, `[fe80::1]:8080%lo`.
InetAddress parse_inet(std::string_view address) {
  InetAddress result;
  if (address.starts_with('[')) {
    const std::size_t close = address.find("]:");
    const bool is_bare = address.ends_with(']') && is_ip(AF_INET6, address.substr(1, address.size() - 2));
    if (is_bare) refuse_without_port(address);
    if (close == std::string_view::npos) refuse("an IPv6 address is [ADDRESS]:PORT");
    result.ip = address.substr(1, close - 1);
    if (result.ip.find('%') != std::string::npos)
      refuse("the interface comes last: [ADDRESS]:PORT%INTERFACE");
    if (!is_ip(AF_INET6, result.ip)) refuse("not an IPv6 address in [brackets]");
    std::string_view port = address.substr(close + 2);
    if (const std::size_t percent = port.find('%'); percent != std::string_view::npos) {
      result.scope = port.substr(percent + 1);
      if (result.scope.empty()) refuse("no interface after %");
      port = port.substr(0, percent);
    }
    result.port = parse_port(port);
    return result;
  }
  if (const std::size_t colon = address.rfind(':'); colon != std::string_view::npos) {
    result.ip = address.substr(0, colon);
    if (!is_ip(AF_INET, result.ip)) refuse_host(result.ip, address);
    address = address.substr(colon + 1);
  }
  result.port = parse_port(address);
  return result;
}

PathAddress parse_unix(std::string_view address) {
  if (address.size() > longest_unix_path) refuse("longer than the 107 bytes of a unix socket address");
  if (address.starts_with('/')) return {std::string(address)};
  if (address.starts_with('@') && address.size() > 1) return {std::string(address)};
  refuse("a unix socket address is an absolute /path or an @abstract name");
}

PathAddress parse_path(std::string_view address) {
  if (!address.starts_with('/')) refuse("not an absolute path");
  return {std::string(address)};
}

PathAddress parse_queue(std::string_view address) {
  const bool one_name =
      address.starts_with('/') && address.size() > 1 && address.find('/', 1) == std::string_view::npos;
  if (!one_name) refuse("a message queue is named /NAME, without another slash");
  return {std::string(address)};
}

// `CID:PORT`, or `:PORT` for every CID.
VsockAddress parse_vsock(std::string_view address) {
  const std::size_t colon = address.find(':');
  if (colon == std::string_view::npos) refuse("a vsock address is CID:PORT or :PORT");
  constexpr auto max = std::numeric_limits<std::uint32_t>::max();
  const auto cid = colon == 0 ? std::optional<std::uint64_t>(VMADDR_CID_ANY)
                              : parse_decimal(address.substr(0, colon), max);
  const auto port = parse_decimal(address.substr(colon + 1), max);
  if (!cid || !port) refuse("a vsock address is CID:PORT or :PORT");
  return {static_cast<std::uint32_t>(*cid), static_cast<std::uint32_t>(*port)};
}

// systemd knows families by number too.
std::optional<int> netlink_family(std::string_view text) {
  const auto* const family = find(netlink_families, text);
  if (family != netlink_families.end()) return family->second;
  const auto number = parse_decimal(text, MAX_LINKS - 1);
  return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

// `route 1361`: the family's name and, if wanted, a mask of multicast groups.
NetlinkAddress parse_netlink(std::string_view address) {
  const std::size_t blank = address.find(' ');
  const auto family = netlink_family(address.substr(0, blank));
  if (!family) refuse("not a netlink family that systemd.socket(5) names");
  NetlinkAddress result{*family, 0};
  if (blank != std::string_view::npos) {
    const auto groups = parse_decimal(address.substr(blank + 1), std::numeric_limits<std::uint32_t>::max());
    if (!groups) refuse("not a mask of netlink multicast groups");
    result.groups = static_cast<std::uint32_t>(*groups);
  }
  return result;
}

[[noreturn]] void refuse(const ListenSpec& spec, std::string_view why) {
  throw Failure(who_asks(spec) + ": " + std::string(why));
}

bool is_path_kind(Kind kind) {
  switch (kind) {
    case Kind::unix_stream:
    case Kind::unix_dgram:
    case Kind::unix_seqpacket:
    case Kind::fifo:
    case Kind::mqueue:
    case Kind::special: return true;
    default: return false;
  }
}

void set_option(ListenSpec& spec, const ListenOption& option, std::string_view value) {
  const std::string_view wanted = option.value.set(spec, value);
  if (!wanted.empty()) refuse(spec, std::string(option.word) + " is " + std::string(wanted));
}

// Takes `,OPTION` and `,OPTION=VALUE` off the end of `address` until what is left is the address itself.
// Nothing else has a comma, but for a path.
std::string_view take_options(std::string_view address, ListenSpec& spec,
                              std::vector<const ListenOption*>& given) {
  for (std::size_t comma = 0; (comma = address.rfind(',')) != std::string_view::npos;) {
    const std::string_view text = address.substr(comma + 1);
    const std::size_t equals = text.find('=');
    const std::string_view word = text.substr(0, equals);
    const ListenOption* const option = find_option_by_word(word);
    const bool bare = equals == std::string_view::npos;
    if (option == nullptr && bare && is_path_kind(spec.kind)) break;
    if (option == nullptr)
      refuse(spec, "unknown option '" + printable(word) + "'; there are " + option_words(spec.kind));
    if (bare && !option->value.is_flag)
      refuse(spec, std::string(word) + " needs a value: " + std::string(word) + "=…");
    if (!option->value.is_list && std::ranges::find(given, option) != given.end())
      refuse(spec, std::string(word) + " is there twice");
    set_option(spec, *option, bare ? "yes" : text.substr(equals + 1));
    given.push_back(option);
    address = address.substr(0, comma);
  }
  std::ranges::reverse(spec.symlinks);  // they were taken from the end
  return address;
}

void refuse_options_without_effect(const ListenSpec& spec, const std::vector<const ListenOption*>& given) {
  for (const ListenOption* const option : given) {
    if (!applies(*option, spec))
      refuse(spec, std::string(option->word) + " is for " + std::string(option->what_for));
  }
  const auto has = [&](std::string_view word) {
    return std::ranges::find(given, word, &ListenOption::word) != given.end();
  };
  if (has("max-connections") && !spec.accept) refuse(spec, "max-connections is for accept");
  if (has("name") && spec.accept) refuse(spec, "with accept every socket's name is connection");
  if (has("max-messages") != has("message-size"))
    refuse(spec, "max-messages and message-size need each other");
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
        spec,
        "not KIND:ADDRESS; KIND is one of tcp, udp, unix, unix-dgram, unix-seqpacket, vsock, fifo, netlink, "
        "mqueue, special");
  }
  spec.kind = is_path ? Kind::unix_stream : Kind::tcp;
  return text;
}

std::string inet_text(const InetAddress& address) {
  const std::string port = std::to_string(address.port);
  if (address.ip.empty()) return port;
  const bool v6 = address.ip.find(':') != std::string::npos;
  return (v6 ? '[' + address.ip + ']' : address.ip) + ':' + port +
         (address.scope.empty() ? "" : '%' + address.scope);
}

std::string netlink_text(const NetlinkAddress& address) {
  const auto* const family =
      std::ranges::find(netlink_families, address.family, [](const auto& entry) { return entry.second; });
  const std::string name =
      family == netlink_families.end() ? std::to_string(address.family) : std::string(family->first);
  return address.groups == 0 ? name : name + ' ' + std::to_string(address.groups);
}

std::string option_text(const ListenOption& option, const std::string& value) {
  const std::string word = ',' + std::string(option.word);
  if (option.value.is_flag && value == "yes") return word;
  std::string text = word + '=';
  for (const char character : value) text += character == '\n' ? word + '=' : std::string(1, character);
  return text;
}

}  // namespace

decltype(ListenSpec::address) parse_address(Kind kind, std::string_view address) {
  switch (kind) {
    case Kind::tcp:
    case Kind::udp: return parse_inet(address);
    case Kind::unix_stream:
    case Kind::unix_dgram:
    case Kind::unix_seqpacket: return parse_unix(address);
    case Kind::vsock: return parse_vsock(address);
    case Kind::netlink: return parse_netlink(address);
    case Kind::mqueue: return parse_queue(address);
    case Kind::fifo:
    case Kind::special: break;
  }
  return parse_path(address);
}

ListenSpec parse_listen_spec(std::string_view text) {
  ListenSpec spec;
  spec.text = text;
  if (text.find('\0') != std::string_view::npos) refuse(spec, "a zero byte");
  std::vector<const ListenOption*> given;
  const std::string_view address = take_options(take_kind(text, spec), spec, given);
  try {
    spec.address = parse_address(spec.kind, address);
  } catch (const Failure& failure) {
    refuse(spec, failure.what());
  }
  refuse_options_without_effect(spec, given);
  return spec;
}

std::string address_text(const ListenSpec& spec) {
  if (const auto* const inet = std::get_if<InetAddress>(&spec.address)) return inet_text(*inet);
  if (const auto* const path = std::get_if<PathAddress>(&spec.address)) return path->path;
  if (const auto* const netlink = std::get_if<NetlinkAddress>(&spec.address)) return netlink_text(*netlink);
  const auto& vsock = std::get<VsockAddress>(spec.address);
  return std::to_string(vsock.cid) + ':' + std::to_string(vsock.port);
}

std::string kind_and_address(const ListenSpec& spec) {
  const auto* const kind =
      std::ranges::find(kind_names, spec.kind, [](const auto& entry) { return entry.second; });
  return std::string(kind->first) + ':' + address_text(spec);
}

std::string to_text(const ListenSpec& spec) {
  std::string text = kind_and_address(spec);
  for (const ListenOption& option : listen_options()) {
    const std::string value = option.value.get(spec);
    if (!value.empty()) text += option_text(option, value);
  }
  return text;
}

std::string who_asks(const ListenSpec& spec) {
  const std::string text = printable(spec.text);
  return spec.unit.empty() ? "--listen " + text : "--unit " + printable(spec.unit) + ": " + text;
}

}  // namespace fdchain
