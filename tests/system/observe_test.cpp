#include "fdchain/system/observe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "fdchain/system/owned_fd.h"
#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

TEST(Observe, DescribesWhatIsNotASocket) {
  const OwnedFd directory(check(::open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC), "open"));
  const auto row = observe_fd(directory.get());
  ASSERT_TRUE(row);
  EXPECT_EQ(row->type, "DIR");
  EXPECT_EQ(row->mode, "--");
  EXPECT_EQ(row->name, "/tmp");
  EXPECT_TRUE(row->close_on_exec);
  const OwnedFd epoll(check(::epoll_create1(0), "epoll_create1"));
  EXPECT_EQ(observe_fd(epoll.get())->type, "eventpoll");
  EXPECT_FALSE(observe_fd(epoll.get())->close_on_exec);
}

TEST(Observe, TellsTheEndsOfAPipe) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const OwnedFd read_end(ends[0]);
  const OwnedFd write_end(ends[1]);
  EXPECT_EQ(observe_fd(ends[0])->mode, "r-");
  EXPECT_EQ(observe_fd(ends[1])->mode, "-w");
  EXPECT_TRUE(observe_fd(ends[1])->non_blocking);
  EXPECT_TRUE(observe_fd(ends[0])->same_object(*observe_fd(ends[1])));
}

TEST(Observe, GivesASocketItsAddressStateAndCookie) {
  const OwnedFd socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  ASSERT_EQ(::listen(socket.get(), 1), 0);
  const auto row = observe_fd(socket.get());
  ASSERT_TRUE(row && row->socket);
  EXPECT_EQ(row->type, "TCP");
  EXPECT_EQ(row->socket->family, AF_INET);
  EXPECT_TRUE(row->socket->listening);
  EXPECT_NE(row->socket->cookie, 0U);
  EXPECT_TRUE(row->socket->local.starts_with("0.0.0.0:"));
  EXPECT_EQ(row->name, "state=listen laddr=" + row->socket->local);
  const OwnedFd copy(check(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 50), "fcntl"));
  EXPECT_TRUE(row->same_object(*observe_fd(copy.get())));
  EXPECT_EQ(observe_fd(copy.get())->socket->cookie, row->socket->cookie);
}

TEST(Observe, TheTableIsExactlyWhatIsOpenAndDoesNotHoldTheScanItself) {
  const FdTable before = observe_fds();
  const OwnedFd extra(check(::open("/dev/null", O_RDONLY | O_CLOEXEC), "open"));
  FdTable after = observe_fds();
  ASSERT_EQ(after.size(), before.size() + 1);
  std::erase_if(after, [&](const FdRow& row) { return row.number == extra.get(); });
  EXPECT_EQ(after, before);
  EXPECT_EQ(observe_fd(extra.get() + 1000), std::nullopt);
}

}  // namespace
}  // namespace fdchain
