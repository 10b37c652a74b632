#include "fdchain/system/fd/accept_queue.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

std::optional<int> option(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0) return std::nullopt;
  return value;
}

// Of one that listens the kernel counts here what is established and not accepted.
std::optional<int> in_tcp_queue(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return std::nullopt;
  return static_cast<int>(info.tcpi_unacked);
}

struct UnixQuestion {
  nlmsghdr header;
  unix_diag_req request;
};

std::optional<UnixQuestion> question_about(int fd) {
  struct stat status {};
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::fstat(fd, &status) < 0 || ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
    return std::nullopt;
  UnixQuestion question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.request.sdiag_family = AF_UNIX;
  question.request.udiag_states = ~0U;
  question.request.udiag_ino = static_cast<std::uint32_t>(status.st_ino);
  question.request.udiag_show = UDIAG_SHOW_RQLEN;
  question.request.udiag_cookie[0] = static_cast<std::uint32_t>(cookie);
  question.request.udiag_cookie[1] = static_cast<std::uint32_t>(cookie >> 32U);
  return question;
}

// As netlink(7) aligns whatever it sends.
constexpr std::size_t aligned(std::size_t size) { return (size + 3) / 4 * 4; }

template <typename T>
T read_at(const char* place) {
  T value;
  std::memcpy(&value, place, sizeof value);
  return value;
}

std::optional<int> queue_in(const char* answer, std::size_t size) {
  constexpr std::size_t attributes = aligned(sizeof(nlmsghdr)) + aligned(sizeof(unix_diag_msg));
  if (size < attributes || read_at<nlmsghdr>(answer).nlmsg_type != SOCK_DIAG_BY_FAMILY) return std::nullopt;
  for (std::size_t at = attributes; at + sizeof(nlattr) <= size;) {
    const auto attribute = read_at<nlattr>(answer + at);
    const std::size_t content = at + aligned(sizeof(nlattr));
    if (attribute.nla_type == UNIX_DIAG_RQLEN && content + sizeof(unix_diag_rqlen) <= size)
      return static_cast<int>(read_at<unix_diag_rqlen>(answer + content).udiag_rqueue);
    if (attribute.nla_len < sizeof(nlattr)) break;
    at += aligned(attribute.nla_len);
  }
  return std::nullopt;
}

std::optional<int> in_unix_queue(int fd) {
  const auto question = question_about(fd);
  const OwnedFd diagnosis(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!question || !diagnosis ||
      ::send(diagnosis.get(), &*question, sizeof *question, 0) != static_cast<ssize_t>(sizeof *question))
    return std::nullopt;
  std::array<char, 4096> answer{};
  const ssize_t got = ::recv(diagnosis.get(), answer.data(), answer.size(), MSG_DONTWAIT);
  return got < 0 ? std::nullopt : queue_in(answer.data(), static_cast<std::size_t>(got));
}

std::optional<int> whether_any(int fd) {
  pollfd asked{fd, POLLIN, 0};
  if (retry([&] { return ::poll(&asked, 1, 0); }) < 0) return std::nullopt;
  return (asked.revents & POLLIN) != 0 ? 1 : 0;
}

}  // namespace

std::optional<int> waiting_clients(int fd) {
  if (option(fd, SO_ACCEPTCONN).value_or(0) == 0) return std::nullopt;
  std::optional<int> waiting;
  if (option(fd, SO_PROTOCOL) == IPPROTO_TCP) waiting = in_tcp_queue(fd);
  if (option(fd, SO_DOMAIN) == AF_UNIX) waiting = in_unix_queue(fd);
  return waiting ? waiting : whether_any(fd);
}

}  // namespace fdchain
