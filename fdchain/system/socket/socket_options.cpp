#include "fdchain/system/socket/socket_options.h"

#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

int get(const OwnedFd& socket, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  check(::getsockopt(socket.get(), level, option, &value, &size), "getsockopt");
  return value;
}

/// Sets options of one socket. Where a unit asks for them, systemd goes on without one that the kernel
/// refuses, and so is it here; what --listen asks for is needed.
class Setter {
 public:
  Setter(const OwnedFd& socket, const ListenSpec& spec, std::vector<std::string>& remarks)
      : socket_(socket), spec_(spec), remarks_(remarks) {}

  void set(int level, int option, int value, std::string_view name) const {
    set_bytes(level, option, &value, sizeof value, name);
  }
  void set(int level, int option, const std::optional<int>& value, std::string_view name) const {
    if (value) set(level, option, *value, name);
  }
  void set(int level, int option, const std::string& value, std::string_view name) const {
    if (!value.empty()) set_bytes(level, option, value.data(), value.size(), name);
  }
  void switch_on(bool wanted, int level, int option, std::string_view name) const {
    if (wanted) set(level, option, 1, name);
  }
  void set_buffer(const std::optional<int>& size, int option, int force, std::string_view word) const;

 private:
  void set_bytes(int level, int option, const void* value, std::size_t size, std::string_view name) const {
    if (::setsockopt(socket_.get(), level, option, value, static_cast<socklen_t>(size)) == 0) return;
    if (spec_.unit.empty()) fail(errno, "setsockopt", name);
    remarks_.push_back("setsockopt " + std::string(name) + ": " + std::generic_category().message(errno));
  }

  const OwnedFd& socket_;
  const ListenSpec& spec_;
  std::vector<std::string>& remarks_;
};

// As systemd does: the kernel stops at a limit, which privileges lift.
void Setter::set_buffer(const std::optional<int>& size, int option, int force, std::string_view word) const {
  if (!size) return;
  const auto bytes = [&] {
    return get(socket_, SOL_SOCKET, option) / 2;
  };  // the kernel doubles what is asked for
  if (bytes() == *size) return;
  set(SOL_SOCKET, option, *size, word);
  if (bytes() == *size) return;
  if (::setsockopt(socket_.get(), SOL_SOCKET, force, &*size, sizeof *size) == 0) return;
  remarks_.push_back(std::string(word) + ": " + std::to_string(bytes()) + " bytes instead of " +
                     std::to_string(*size) + ", the limit without CAP_NET_ADMIN");
}

bool is_ipv6(const OwnedFd& socket) { return get(socket, SOL_SOCKET, SO_DOMAIN) == AF_INET6; }

bool is_inet(const ListenSpec& spec) {
  return spec.kind == ListenSpec::Kind::tcp || spec.kind == ListenSpec::Kind::udp;
}

void set_tcp_options(const Setter& to, const ListenSpec& spec) {
  to.switch_on(spec.keep_alive, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
  to.set(IPPROTO_TCP, TCP_KEEPIDLE, spec.keep_alive_time, "TCP_KEEPIDLE");
  to.set(IPPROTO_TCP, TCP_KEEPINTVL, spec.keep_alive_interval, "TCP_KEEPINTVL");
  to.set(IPPROTO_TCP, TCP_KEEPCNT, spec.keep_alive_probes, "TCP_KEEPCNT");
  to.set(IPPROTO_TCP, TCP_DEFER_ACCEPT, spec.defer_accept, "TCP_DEFER_ACCEPT");
  to.switch_on(spec.no_delay, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
  to.set(IPPROTO_TCP, TCP_CONGESTION, spec.congestion, "TCP_CONGESTION");
}

void set_packet_info(const OwnedFd& socket, const Setter& to, const ListenSpec& spec) {
  if (!spec.pass_packet_info) return;
  if (spec.kind == ListenSpec::Kind::netlink)
    to.set(SOL_NETLINK, NETLINK_PKTINFO, 1, "NETLINK_PKTINFO");
  else if (is_ipv6(socket))
    to.set(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
  else
    to.set(IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
}

void set_time_stamps(const Setter& to, const ListenSpec& spec) {
  to.switch_on(spec.timestamping == Timestamping::us, SOL_SOCKET, SO_TIMESTAMP, "SO_TIMESTAMP");
  to.switch_on(spec.timestamping == Timestamping::ns, SOL_SOCKET, SO_TIMESTAMPNS, "SO_TIMESTAMPNS");
}

}  // namespace

std::vector<std::string> set_options_before_bind(const OwnedFd& socket, const ListenSpec& spec) {
  std::vector<std::string> remarks;
  if (!is_inet(spec)) return remarks;
  const bool ipv6 = is_ipv6(socket);
  const Setter to(socket, spec, remarks);
  // These two decide who reaches the socket: systemd does not open it without them either.
  if (ipv6 && spec.v6_only) {
    const int only = *spec.v6_only ? 1 : 0;
    check(::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only), "setsockopt",
          "IPV6_V6ONLY");
  }
  const std::string& device = spec.bind_to_device;
  if (!device.empty())
    check(::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, device.data(),
                       static_cast<socklen_t>(device.size())),
          "interface", device);
  to.switch_on(spec.reuse_port, SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT");
  if (ipv6) {
    to.switch_on(spec.free_bind, IPPROTO_IPV6, IPV6_FREEBIND, "IPV6_FREEBIND");
    to.switch_on(spec.transparent, IPPROTO_IPV6, IPV6_TRANSPARENT, "IPV6_TRANSPARENT");
  } else {
    to.switch_on(spec.free_bind, IPPROTO_IP, IP_FREEBIND, "IP_FREEBIND");
    to.switch_on(spec.transparent, IPPROTO_IP, IP_TRANSPARENT, "IP_TRANSPARENT");
  }
  return remarks;
}

std::vector<std::string> set_options_after_bind(const OwnedFd& socket, const ListenSpec& spec) {
  std::vector<std::string> remarks;
  const Setter to(socket, spec, remarks);
  set_tcp_options(to, spec);
  to.switch_on(spec.broadcast, SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST");
  to.switch_on(spec.pass_credentials, SOL_SOCKET, SO_PASSCRED, "SO_PASSCRED");
  to.switch_on(spec.pass_security, SOL_SOCKET, SO_PASSSEC, "SO_PASSSEC");
  set_packet_info(socket, to, spec);
  set_time_stamps(to, spec);
  to.set(SOL_SOCKET, SO_PRIORITY, spec.priority, "SO_PRIORITY");
  to.set_buffer(spec.receive_buffer, SO_RCVBUF, SO_RCVBUFFORCE, "rcvbuf");
  to.set_buffer(spec.send_buffer, SO_SNDBUF, SO_SNDBUFFORCE, "sndbuf");
  to.set(SOL_SOCKET, SO_MARK, spec.mark, "SO_MARK");
  if (is_inet(spec)) {
    to.set(IPPROTO_IP, IP_TOS, spec.ip_tos, "IP_TOS");
    if (is_ipv6(socket))
      to.set(IPPROTO_IPV6, IPV6_UNICAST_HOPS, spec.ip_ttl, "IPV6_UNICAST_HOPS");
    else
      to.set(IPPROTO_IP, IP_TTL, spec.ip_ttl, "IP_TTL");
  }
  return remarks;
}

}  // namespace fdchain
