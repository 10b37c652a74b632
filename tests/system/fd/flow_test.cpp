#include "fdchain/system/fd/flow.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

/// A pipe of which neither end waits.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), "pipe2");
    reader = OwnedFd(ends[0]);
    writer = OwnedFd(ends[1]);
  }
  OwnedFd reader;
  OwnedFd writer;
};

std::size_t fill_up(const Pipe& pipe) {
  const std::string bytes(4096, 'x');
  std::size_t written = 0;
  for (ssize_t more = 0; (more = ::write(pipe.writer.get(), bytes.data(), bytes.size())) > 0;)
    written += static_cast<std::size_t>(more);
  return written;
}

TEST(Flow, KeepsWhatNobodyTakesAndTakesInNoMoreThanItHasRoomFor) {
  const Pipe in;
  const Pipe out;
  fill_up(out);
  const std::size_t sent = fill_up(in);
  Flow flow{in.reader.get(), out.writer.get()};
  while (flow.has_room()) flow.fill();
  EXPECT_FALSE(flow.flush()) << "nobody has read";
  EXPECT_EQ(flow.pending.size(), 16'384U);
  EXPECT_GT(sent, flow.pending.size());
  std::array<char, 8192> read{};
  check(::read(out.reader.get(), read.data(), read.size()), "read");
  EXPECT_TRUE(flow.flush());
  EXPECT_EQ(flow.pending.size(), 16'384U - 4096U);
}

TEST(Flow, EndsWithItsSourceAndDropsWhatHasNoReader) {
  Pipe in;
  Pipe out;
  check(::write(in.writer.get(), "words", 5), "write");
  Flow flow{in.reader.get(), out.writer.get()};
  EXPECT_EQ(flow.fill(), 5U);
  EXPECT_EQ(flow.fill(), 0U);
  EXPECT_TRUE(flow.open) << "more may come";
  in.writer.close();
  EXPECT_EQ(flow.fill(), 0U);
  EXPECT_FALSE(flow.open);
  out.reader.close();
  ::signal(SIGPIPE, SIG_IGN);
  EXPECT_FALSE(flow.flush());
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_FALSE(flow.has_reader);
  EXPECT_EQ(flow.pending, "");
}

TEST(Flow, AnEndOfACallersIsNoLongerWaitedForAndTheCallersStaysAsItWas) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  const OwnedFd reader(ends[0]);
  const OwnedFd writer(ends[1]);
  const OwnedFd own = end_of_callers(reader.get(), O_RDONLY);
  EXPECT_NE(::fcntl(own.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(::fcntl(reader.get(), F_GETFL) & O_NONBLOCK, 0);
}

}  // namespace
}  // namespace fdchain
