#include "fdchain/system/fd/unix_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

void send_with(const OwnedFd& socket, const std::vector<int>& descriptors) {
  char text = ' ';
  iovec part{&text, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    const std::size_t size = descriptors.size() * sizeof(int);
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), descriptors.data(), size);
  }
  check(::sendmsg(socket.get(), &message, MSG_NOSIGNAL), "sendmsg");
}

long open_descriptors() {
  long count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST(ReceiveDescriptor, TakesTheFirstAndClosesTheRest) {
  const SocketPair pair = make_socket_pair();
  const OwnedFd file(check(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC), "open"));
  send_with(pair.theirs, {file.get(), STDERR_FILENO, file.get(), file.get(), file.get(), file.get()});
  const long before = open_descriptors();
  const OwnedFd received = receive_descriptor(pair.ours.get());
  EXPECT_EQ(open_descriptors(), before + 1);
  struct stat sent {};
  struct stat found {};
  check(::fstat(file.get(), &sent), "fstat");
  check(::fstat(received.get(), &found), "fstat");
  EXPECT_EQ(found.st_ino, sent.st_ino);
  EXPECT_EQ(::fcntl(received.get(), F_GETFD), FD_CLOEXEC);
}

TEST(ReceiveDescriptor, IsNotOpenWhenNoneCame) {
  const SocketPair pair = make_socket_pair();
  EXPECT_FALSE(receive_descriptor(pair.ours.get(), MSG_DONTWAIT));
  EXPECT_EQ(errno, EAGAIN);
  send_with(pair.theirs, {});
  EXPECT_FALSE(receive_descriptor(pair.ours.get()));
  EXPECT_EQ(errno, 0);
}

// What else comes beside a message is no descriptor, though it looks like one.
TEST(ReceiveDescriptor, TakesNothingElseForOne) {
  const SocketPair pair = make_socket_pair();
  const int yes = 1;
  check(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes), "setsockopt");
  send_with(pair.theirs, {STDERR_FILENO});
  const OwnedFd received = receive_descriptor(pair.ours.get());
  struct stat sent {};
  struct stat found {};
  check(::fstat(STDERR_FILENO, &sent), "fstat");
  check(::fstat(received.get(), &found), "fstat");
  EXPECT_EQ(found.st_ino, sent.st_ino);
}

}  // namespace
}  // namespace fdchain
