#include "fdchain/system/listening_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <mqueue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "fdchain/model/failure.h"
#include "fdchain/system/observe.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

class OpenListening : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_.file(name); }

  static std::string failure(const std::string& spec) {
    try {
      const Opened opened = open_listening(parse_listen_spec(spec));
    } catch (const Failure& failure) {
      return failure.what();
    }
    return "opened";
  }

  test::TemporaryDirectory directory_;
};

TEST_F(OpenListening, OpensEveryKindCloseOnExecAndBlocking) {
  struct Expected {
    std::string spec;
    std::string type;
    bool listening;
  };
  const std::vector<Expected> kinds{
      {"tcp:127.0.0.1:45301", "TCP", true},
      {"tcp:[::1]:45301", "TCPv6", true},
      {"udp:127.0.0.1:45301", "UDP", false},
      {"unix:" + path("stream"), "UNIX-STREAM", true},
      {"unix:@fdchain-test-" + std::to_string(::getpid()), "UNIX-STREAM", true},
      {"unix-dgram:" + path("dgram"), "UNIX-DGRAM", false},
      {"unix-seqpacket:" + path("seqpacket"), "UNIX-SEQPACKET", true},
      {"netlink:kobject-uevent 1", "NETLINK", false},
      {"fifo:" + path("fifo"), "FIFO", false},
      {"special:/dev/zero", "CHR", false},
  };
  for (const Expected& kind : kinds) {
    const Opened opened = open_listening(parse_listen_spec(kind.spec));
    const auto row = observe_fd(opened.fd.get());
    ASSERT_TRUE(row) << kind.spec;
    EXPECT_EQ(row->type, kind.type) << kind.spec;
    EXPECT_EQ(row->socket && row->socket->listening, kind.listening) << kind.spec;
    EXPECT_TRUE(row->close_on_exec) << kind.spec;
    EXPECT_FALSE(row->non_blocking) << kind.spec;
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path())) << "what was made is removed with its owner";
}

TEST_F(OpenListening, OpensAMessageQueueAndRemovesTheOneItMade) {
  const std::string name = "/fdchain-test-" + std::to_string(::getpid());
  {
    const Opened opened = open_listening(parse_listen_spec("mqueue:" + name));
    ASSERT_EQ(::mq_send(opened.fd.get(), "x", 1, 0), 0);
    const Opened again = open_listening(parse_listen_spec("mqueue:" + name));
    EXPECT_FALSE(again.made) << "it was there";
  }
  EXPECT_EQ(::mq_open(name.c_str(), O_RDONLY | O_CLOEXEC), -1);
}

TEST_F(OpenListening, OpensVsock) {
  const auto why = failure("vsock::45301");
  if (why.find("Address family not supported") != std::string::npos)
    GTEST_SKIP() << "this kernel has no vsock";
  EXPECT_EQ(why, "opened");
}

TEST_F(OpenListening, ABarePortTakesBothFamilies) {
  const Opened opened = open_listening(parse_listen_spec("tcp:45302"));
  EXPECT_EQ(observe_fd(opened.fd.get())->socket->local, "[::]:45302");
}

TEST_F(OpenListening, GivesTheSocketItsMode) {
  const Opened opened = open_listening(parse_listen_spec("unix:" + path("s") + ",mode=0620"));
  struct stat status {};
  ASSERT_EQ(::stat(path("s").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0620U);
}

TEST_F(OpenListening, ReplacesASocketThatNobodyListensOn) {
  for (const std::string kind : {"unix:", "unix-dgram:", "unix-seqpacket:"}) {
    const std::string spec = kind + path("stale");
    {
      Opened first = open_listening(parse_listen_spec(spec));
      first.made->release();  // as if its owner had been killed
    }
    ASSERT_TRUE(std::filesystem::is_socket(path("stale")));
    EXPECT_EQ(failure(spec), "opened") << spec;
  }
}

TEST_F(OpenListening, ReplacesNoSocketThatIsServedAndNoOtherFile) {
  const std::string in_use = ": bind: Address already in use";
  const Opened served = open_listening(parse_listen_spec("unix:" + path("served")));
  EXPECT_EQ(failure("unix:" + path("served")),
            "--listen unix:" + path("served") + in_use + ", by a socket that somebody serves");
  EXPECT_EQ(failure("unix-dgram:" + path("served")),
            "--listen unix-dgram:" + path("served") + in_use + ", by a socket that somebody serves");
  std::ofstream(path("precious")) << "data";
  EXPECT_EQ(failure("unix:" + path("precious")),
            "--listen unix:" + path("precious") + in_use + ", and what is there is no socket");
  EXPECT_EQ(std::filesystem::file_size(path("precious")), 4U);
  EXPECT_EQ(failure("fifo:" + path("precious")),
            "--listen fifo:" + path("precious") + ": there, and not a FIFO");
}

TEST_F(OpenListening, LeavesAPathThatIsNoLongerItsOwn) {
  {
    const Opened opened = open_listening(parse_listen_spec("unix:" + path("s")));
    std::filesystem::rename(path("s"), path("elsewhere"));
    std::ofstream(path("s")) << "somebody else's";
  }
  EXPECT_EQ(std::filesystem::file_size(path("s")), 15U);
  EXPECT_TRUE(std::filesystem::is_socket(path("elsewhere")));
}

TEST_F(OpenListening, SaysWhatIsInTheWay) {
  const Opened taken = open_listening(parse_listen_spec("tcp:127.0.0.1:45303"));
  EXPECT_EQ(failure("tcp:127.0.0.1:45303"), "--listen tcp:127.0.0.1:45303: bind: Address already in use");
  EXPECT_EQ(failure("unix:/nonexistent/s"), "--listen unix:/nonexistent/s: bind: No such file or directory");
  EXPECT_EQ(failure("tcp:203.0.113.1:80"),
            "--listen tcp:203.0.113.1:80: bind: Cannot assign requested address");
  EXPECT_EQ(failure("tcp:[fe80::1]:80%nodev"),
            "--listen tcp:[fe80::1]:80%nodev: interface nodev: No such device");
  EXPECT_EQ(failure("special:/nonexistent"),
            "--listen special:/nonexistent: open: No such file or directory");
  EXPECT_EQ(failure("special:/tmp"), "--listen special:/tmp: neither a character device nor a regular file");
}

}  // namespace
}  // namespace fdchain
