#include "monitor/conmon/streams/input_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "fdchain/system/fd/sys.h"

namespace fdchain::test {
namespace {

class InputQueueTest : public ::testing::Test {
 protected:
  boost::asio::io_context io_;
  int emptied_ = 0;
  InputQueue queue_{io_, [this] { ++emptied_; }};
};

std::string read_some(int fd) {
  std::string text(100, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(fd, text.data(), text.size()))));
  return text;
}

TEST_F(InputQueueTest, WhoWaitedForTheContainersEndIsToldWhenItIsThere) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  const OwnedFd reader(ends[0]);
  EXPECT_FALSE(queue_.write("early"));
  EXPECT_EQ(emptied_, 0);
  queue_.open(OwnedFd(ends[1]));
  EXPECT_EQ(emptied_, 1);
  EXPECT_EQ(read_some(reader.get()), "early");
}

TEST_F(InputQueueTest, WhoWaitedIsToldAlsoWhenNobodyReads) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  ::close(ends[0]);
  ::signal(SIGPIPE, SIG_IGN);
  EXPECT_FALSE(queue_.write("early"));
  queue_.open(OwnedFd(ends[1]));
  EXPECT_EQ(emptied_, 1);
  EXPECT_TRUE(queue_.write("late"));
}

}  // namespace
}  // namespace fdchain::test
