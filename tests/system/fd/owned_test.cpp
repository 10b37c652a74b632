#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/owned_range.h"
#include "fdchain/system/fd/sys.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

OwnedFd make() { return OwnedFd(check(::eventfd(0, EFD_CLOEXEC), "eventfd")); }

TEST(OwnedFd, ClosesOnceAndKeepsErrno) {
  OwnedFd owner = make();
  const int number = owner.get();
  errno = E2BIG;
  owner.close();
  EXPECT_EQ(errno, E2BIG);
  EXPECT_FALSE(is_open(number));
  EXPECT_FALSE(owner);
  errno = E2BIG;
  owner.close();
  EXPECT_EQ(errno, E2BIG) << "closing twice calls nothing";
}

TEST(OwnedFd, MovesTheDutyAndReleasesIt) {
  OwnedFd first = make();
  const int number = first.get();
  OwnedFd second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is the promise
  second = make();
  EXPECT_FALSE(is_open(number)) << "the old one is closed by the assignment";
  OwnedFd third = make();
  OwnedFd(third.release());
  EXPECT_FALSE(third);
}

TEST(OwnedRange, ClosesItsNumbersAndNoOther) {
  EXPECT_EQ(test::in_child([] {
              ::close_range(3, ~0U, 0);
              for (int fd = 3; fd < 8; ++fd) {
                if (::eventfd(0, 0) != fd) return 1;
              }
              OwnedRange empty;
              {
                OwnedRange range(4, 3);
                OwnedRange moved(std::move(range));
                if (moved.end() != 7) return 2;
              }
              empty.close();
              return is_open(3) && !is_open(4) && !is_open(5) && !is_open(6) && is_open(7) ? 0 : 3;
            }),
            0);
}

TEST(Check, NamesTheCallTheSubjectAndTheReason) {
  try {
    check(::open("/nonexistent\n/x", O_RDONLY | O_CLOEXEC), "open", "/nonexistent\n/x");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_STREQ(error.what(), "open /nonexistent\\x0a/x: No such file or directory");
  }
}

}  // namespace
}  // namespace fdchain
