#include "integration/harness/client.h"

#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "fdchain/model/listen_spec.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain::test {
namespace {

using Kind = ListenSpec::Kind;

struct Target {
  int family = 0;
  int type = SOCK_STREAM;
  sockaddr_storage address{};
  socklen_t length = 0;
};

template <typename Sockaddr>
void fill(Target& target, const Sockaddr& address, std::size_t length = sizeof(Sockaddr)) {
  std::memcpy(&target.address, &address, length);
  target.length = static_cast<socklen_t>(length);
}

Target target_of(const ListenSpec& spec) {
  Target target;
  if (const auto* const inet = std::get_if<InetAddress>(&spec.address)) {
    target.type = spec.kind == Kind::tcp ? SOCK_STREAM : SOCK_DGRAM;
    sockaddr_in in{AF_INET, htons(inet->port), {}, {}};
    sockaddr_in6 in6{AF_INET6, htons(inet->port), 0, {}, 0};
    const std::string ip = inet->ip.empty() ? "127.0.0.1" : inet->ip;
    target.family = ip.find(':') == std::string::npos ? AF_INET : AF_INET6;
    if (target.family == AF_INET) {
      ::inet_pton(AF_INET, ip.c_str(), &in.sin_addr);
      fill(target, in);
    } else {
      ::inet_pton(AF_INET6, ip.c_str(), &in6.sin6_addr);
      fill(target, in6);
    }
  } else if (const auto* const path = std::get_if<PathAddress>(&spec.address)) {
    target.family = AF_UNIX;
    target.type = spec.kind == Kind::unix_stream  ? SOCK_STREAM
                  : spec.kind == Kind::unix_dgram ? SOCK_DGRAM
                                                  : SOCK_SEQPACKET;
    sockaddr_un un{AF_UNIX, {}};
    std::memcpy(un.sun_path, path->path.data(), path->path.size());
    if (un.sun_path[0] == '@') un.sun_path[0] = '\0';
    fill(target, un, offsetof(sockaddr_un, sun_path) + path->path.size());
  } else {
    const auto& vsock = std::get<VsockAddress>(spec.address);
    target.family = AF_VSOCK;
    sockaddr_vm vm{};
    vm.svm_family = AF_VSOCK;
    vm.svm_cid = VMADDR_CID_LOCAL;
    vm.svm_port = vsock.port;
    fill(target, vm);
  }
  return target;
}

void set_deadline(const OwnedFd& socket) {
  const timeval patience{30, 0};
  check(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "setsockopt");
  check(::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), "setsockopt");
}

}  // namespace

Client::Client(std::string_view address) {
  const Target target = target_of(parse_listen_spec(address));
  socket_ = OwnedFd(check(::socket(target.family, target.type | SOCK_CLOEXEC, 0), "socket"));
  set_deadline(socket_);
  // A datagram client needs a name of its own to be answered; the kernel makes one up.
  const sockaddr_un unnamed{AF_UNIX, {}};
  if (target.family == AF_UNIX && target.type == SOCK_DGRAM) {
    check(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&unnamed), sizeof unnamed.sun_family),
          "bind");
  }
  check(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&target.address), target.length),
        "connect", address);
}

void Client::send(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t sent = check(::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL), "send");
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string Client::receive() const {
  std::vector<char> buffer(1 << 20);
  const ssize_t got = check(::recv(socket_.get(), buffer.data(), buffer.size(), 0), "recv");
  return {buffer.data(), static_cast<std::size_t>(got)};
}

std::string Client::receive(std::size_t size) const {
  std::string text;
  while (text.size() < size) {
    const std::string piece = receive();
    if (piece.empty()) return text;
    text += piece;
  }
  return text;
}

void Client::end_input() const { check(::shutdown(socket_.get(), SHUT_WR), "shutdown"); }

}  // namespace fdchain::test
