#include "fdchain/system/fd/handshake.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/socket/notify.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

TEST(Handshake, KeepsMessagesApartAndToleratesAPartnerThatHasGone) {
  SocketPair pair = make_socket_pair();
  EXPECT_TRUE(send_message(pair.ours, "one"));
  EXPECT_TRUE(send_message(pair.ours, "two"));
  char buffer[16];
  EXPECT_EQ(::read(pair.theirs.get(), buffer, sizeof buffer), 3);
  pair.theirs.close();
  EXPECT_FALSE(send_message(pair.ours, "three"));
}

// As a shell's caller gives them; nothing has been done about SIGPIPE here.
TEST(Handshake, APipeIsAsGoodAsASocket) {
  EXPECT_EQ(test::in_child([] {
              int ends[2];
              check(::pipe(ends), "pipe");
              const OwnedFd theirs(ends[0]);
              const OwnedFd ours(ends[1]);
              char buffer[16];
              const bool arrived = send_message(ours, "one") && ::read(ends[0], buffer, sizeof buffer) == 3;
              ::close(ends[0]);
              return arrived && !send_message(ours, "two") ? 0 : 1;
            }),
            0);
}

TEST(Handshake, TakesAnAnnouncedDescriptorAndMakesItCloseOnExec) {
  SocketPair pair = make_socket_pair();
  const int number = pair.theirs.release();
  ASSERT_EQ(::fcntl(number, F_SETFD, 0), 0);
  const OwnedFd taken = take_handshake_fd(number, "_OCI_SYNCPIPE", number);
  EXPECT_TRUE(observe_fd(number)->close_on_exec);
}

TEST(Handshake, TheLastWordsOfWhoLeftSomethingUnreadAreHeard) {
  SocketPair pair = make_socket_pair();
  EXPECT_TRUE(send_message(pair.ours, "go"));
  EXPECT_TRUE(send_message(pair.theirs, "I cannot"));
  EXPECT_TRUE(send_message(pair.theirs, "because"));
  pair.theirs.close();
  std::array<char, 20> buffer{};
  const auto next = [&] { return receive_message(pair.ours.get(), buffer); };
  ASSERT_EQ(next(), 8);
  EXPECT_EQ(std::string(buffer.data(), 8), "I cannot");
  EXPECT_EQ(next(), 7);
  EXPECT_EQ(next(), 0);
}

template <typename Call>
std::string failure_of(Call call) {
  try {
    call();
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "none";
}

TEST(Handshake, RefusesANumberThatCannotBeOne) {
  EXPECT_EQ(handshake_number(Environment({"A=1"}), "_OCI_SYNCPIPE"), std::nullopt);
  EXPECT_EQ(handshake_number(Environment({"_OCI_SYNCPIPE=7"}), "_OCI_SYNCPIPE"), 7);
  EXPECT_EQ(failure_of([] { (void)handshake_number(Environment({"_OCI_SYNCPIPE=-1"}), "_OCI_SYNCPIPE"); }),
            "_OCI_SYNCPIPE=-1: not the number of a descriptor");
  EXPECT_EQ(failure_of([] { (void)take_handshake_fd(4, "_OCI_SYNCPIPE", 5); }),
            "_OCI_SYNCPIPE=4: stdio or a descriptor to pass on, not one of the handshake");
  EXPECT_EQ(failure_of([] { (void)take_handshake_fd(4000, "_OCI_SYNCPIPE", 5); }),
            "_OCI_SYNCPIPE=4000: not an open descriptor");
}

TEST(Notify, RefusesWhatIsNoAddress) {
  EXPECT_EQ(failure_of([] { notify("relative", "READY=1"); }),
            "NOTIFY_SOCKET=relative: neither a /path nor an @abstract name");
  const std::string longest(108, 'x');
  EXPECT_EQ(failure_of([&] { notify('/' + longest, "READY=1"); }),
            "NOTIFY_SOCKET=/" + longest + ": longer than a unix socket address can be");
  EXPECT_THROW(notify("/nonexistent/notify", "READY=1"), std::system_error);
}

}  // namespace
}  // namespace fdchain
