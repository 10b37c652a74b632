#include "fdchain/system/fd/poll_until.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
    read = OwnedFd(ends[0]);
    write = OwnedFd(ends[1]);
  }
  OwnedFd read;
  OwnedFd write;
};

// While it lives a signal interrupts every system call that waits, twice a millisecond.
class Interruptions {
 public:
  Interruptions() {
    struct sigaction handler {};
    handler.sa_handler = [](int) { count = count + 1; };
    check(::sigaction(SIGALRM, &handler, &before_), "sigaction");
    set(500);
  }
  ~Interruptions() {
    set(0);
    ::sigaction(SIGALRM, &before_, nullptr);
  }
  Interruptions(const Interruptions&) = delete;
  Interruptions& operator=(const Interruptions&) = delete;

  static inline volatile std::sig_atomic_t count = 0;

 private:
  static void set(suseconds_t microseconds) {
    const itimerval timer{{0, microseconds}, {0, microseconds}};
    check(::setitimer(ITIMER_REAL, &timer, nullptr), "setitimer");
  }

  struct sigaction before_ {};
};

TEST(PollUntil, InterruptionsNeitherEndAWaitNorMakeItLonger) {
  const Pipe pipe;
  const Deadline end = after(std::chrono::milliseconds(50));
  {
    const Interruptions interruptions;
    Interruptions::count = 0;
    EXPECT_FALSE(is_readable(pipe.read.get(), end));
    EXPECT_GT(Interruptions::count, 0);
  }
  EXPECT_GE(Clock::now(), end);
  EXPECT_LT(Clock::now(), end + std::chrono::seconds(10));
}

TEST(PollUntil, WhatIsReadyAlreadyIsNotWaitedFor) {
  const Pipe pipe;
  EXPECT_FALSE(is_readable(pipe.read.get()));
  check(::write(pipe.write.get(), "x", 1), "write");
  EXPECT_TRUE(is_readable(pipe.read.get()));
  EXPECT_TRUE(is_readable(pipe.read.get(), no_deadline));
  EXPECT_FALSE(is_readable(-1));
}

TEST(PollUntil, TheEndOfAWriterIsSomethingToRead) {
  Pipe pipe;
  pipe.write.close();
  EXPECT_TRUE(is_readable(pipe.read.get(), no_deadline));
}

TEST(PollUntil, SaysHowManyAreReady) {
  const Pipe first;
  const Pipe second;
  check(::write(first.write.get(), "x", 1), "write");
  std::array<pollfd, 3> waiting{
      {{first.read.get(), POLLIN, 0}, {second.read.get(), POLLIN, 0}, {second.write.get(), POLLOUT, 0}}};
  EXPECT_EQ(poll_until(waiting, no_deadline), 2);
  EXPECT_EQ(waiting[1].revents, 0);
}

}  // namespace
}  // namespace fdchain
