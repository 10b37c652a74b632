#include "fdchain/system/fd/accept_queue.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <vector>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain::test {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

OwnedFd open_socket(int family, int type) {
  return OwnedFd(check(::socket(family, type | SOCK_CLOEXEC, 0), "socket"));
}

// At an address that the kernel chooses.
OwnedFd listening(int family, int type, Address& address) {
  OwnedFd socket = open_socket(family, type);
  address.get()->sa_family = static_cast<sa_family_t>(family);
  const socklen_t size = family == AF_UNIX ? sizeof(sa_family_t) : sizeof(sockaddr_in6);
  check(::bind(socket.get(), address.get(), size), "bind");
  check(::listen(socket.get(), 5), "listen");
  check(::getsockname(socket.get(), address.get(), &address.size), "getsockname");
  return socket;
}

TEST(WaitingClients, AreThoseThatNobodyHasAccepted) {
  for (const auto& [family, type] : {std::pair{AF_INET, SOCK_STREAM}, std::pair{AF_INET6, SOCK_STREAM},
                                     std::pair{AF_UNIX, SOCK_STREAM}, std::pair{AF_UNIX, SOCK_SEQPACKET}}) {
    Address address;
    const OwnedFd socket = listening(family, type, address);
    EXPECT_EQ(waiting_clients(socket.get()), 0) << family;
    std::vector<OwnedFd> clients;
    for (int count = 1; count <= 3; ++count) {
      clients.push_back(open_socket(family, type));
      check(::connect(clients.back().get(), address.get(), address.size), "connect");
      EXPECT_EQ(waiting_clients(socket.get()), count) << family;
    }
    const OwnedFd accepted(check(::accept(socket.get(), nullptr, nullptr), "accept"));
    EXPECT_EQ(waiting_clients(socket.get()), 2) << family;
  }
}

TEST(WaitingClients, AreNothingOfWhatDoesNotListen) {
  EXPECT_EQ(waiting_clients(open_socket(AF_INET, SOCK_STREAM).get()), std::nullopt);
  EXPECT_EQ(waiting_clients(open_socket(AF_UNIX, SOCK_DGRAM).get()), std::nullopt);
  EXPECT_EQ(waiting_clients(STDERR_FILENO), std::nullopt);
  EXPECT_EQ(waiting_clients(-1), std::nullopt);
}

}  // namespace
}  // namespace fdchain::test
