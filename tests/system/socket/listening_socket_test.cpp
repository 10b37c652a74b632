#include "fdchain/system/socket/listening_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
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
    EXPECT_TRUE(again.made.empty()) << "it was there";
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
      first.made.front().release();  // as if its owner had been killed
    }
    ASSERT_TRUE(std::filesystem::is_socket(path("stale")));
    EXPECT_EQ(failure(spec), "opened") << spec;
  }
}

TEST_F(OpenListening, ReplacesNoSocketThatIsServedAndNoOtherFile) {
  const std::string in_use = ": bind: Address already in use";
  const Opened served = open_listening(parse_listen_spec("unix:" + path("served")));
  check(::fcntl(served.fd.get(), F_SETFL, O_RDWR | O_NONBLOCK), "fcntl");
  EXPECT_EQ(failure("unix:" + path("served")),
            "--listen unix:" + path("served") + in_use + ", by a socket that somebody serves");
  EXPECT_EQ(failure("unix-dgram:" + path("served")),
            "--listen unix-dgram:" + path("served") + in_use + ", by a socket that somebody serves");
  // Whoever serves it has not heard of that.
  EXPECT_EQ(::accept4(served.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC), -1);
  EXPECT_EQ(errno, EAGAIN);
  std::ofstream(path("precious")) << "data";
  EXPECT_EQ(failure("unix:" + path("precious")),
            "--listen unix:" + path("precious") + in_use + ", and what is there is no socket");
  EXPECT_EQ(std::filesystem::file_size(path("precious")), 4U);
  EXPECT_EQ(failure("fifo:" + path("precious")),
            "--listen fifo:" + path("precious") + ": there, and not a FIFO");
}

// Anybody may have put it there, to read what is meant for this process.
TEST_F(OpenListening, TakesOnlyWhatItWouldHaveMadeItself) {
  const auto of = [](uid_t user, gid_t group) { return std::to_string(user) + ':' + std::to_string(group); };
  const std::string own = of(::geteuid(), ::getegid());
  const auto refused = [&](const std::string& what, const std::string& found, const std::string& wanted) {
    EXPECT_EQ(failure(what),
              "--listen " + what + ": File exists: mode " + found + ", and mode " + wanted + " is asked for");
  };
  const std::string fifo = "fifo:" + path("f");
  ASSERT_EQ(::mkfifo(path("f").c_str(), 0600), 0);
  EXPECT_EQ(failure(fifo + ",mode=0600"), "opened");
  refused(fifo, "0600 of " + own, "0666 of " + own);
  ASSERT_EQ(::chown(path("f").c_str(), 12345, 54321), 0);
  refused(fifo + ",mode=0600", "0600 of 12345:54321", "0600 of " + own);
  EXPECT_EQ(failure(fifo + ",mode=0600,user=12345,group=54321"), "opened");
  EXPECT_TRUE(std::filesystem::exists(path("f"))) << "it was there";
  const std::string name = "/fdchain-test-" + std::to_string(::getpid());
  const Opened queue = open_listening(parse_listen_spec("mqueue:" + name));
  refused("mqueue:" + name + ",mode=0600", "0666 of " + own, "0600 of " + own);
  ASSERT_EQ(::fchown(queue.fd.get(), 12345, 54321), 0);
  refused("mqueue:" + name, "0666 of 12345:54321", "0666 of " + own);
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

struct SocketOption {
  const char* spec;
  int level;
  int option;
  int expected;
};

int option_of(const OwnedFd& fd, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd.get(), level, option, &value, &size) < 0 ? -errno : value;
}

// A file system that numbers its files anew as soon as it can, as ext4 does, gives the next one the number of
// the last; to be told from it, it has to be younger by a tick of the kernel's clock.
TEST_F(OpenListening, LeavesAPathThatIsANewOnesWithTheSameNumber) {
  const ListenSpec spec = parse_listen_spec("unix:" + path("s"));
  for (const bool by_another_process : {false, true}) {
    std::optional<Opened> old(open_listening(spec));
    const std::string words = old->made.front().to_words();
    old->fd.close();
    const auto born = [&] {
      struct statx status {};
      check(::statx(AT_FDCWD, path("s").c_str(), 0, STATX_BTIME, &status), "statx");
      return std::pair(status.stx_btime.tv_sec, status.stx_btime.tv_nsec);
    };
    const auto first = born();
    std::optional<Opened> fresh;
    do {
      fresh.reset();
      fresh.emplace(open_listening(spec));
    } while (born() == first);
    if (by_another_process) MadeName::known(MadeName::Kind::path, words).remove();
    old.reset();
    EXPECT_TRUE(std::filesystem::exists(path("s"))) << by_another_process;
  }
}

TEST_F(OpenListening, SetsEachOptionOnTheSocket) {
  const std::array options{
      SocketOption{"tcp:[::1]:0,v6only", IPPROTO_IPV6, IPV6_V6ONLY, 1},
      SocketOption{"tcp:[::]:0,v6only=no", IPPROTO_IPV6, IPV6_V6ONLY, 0},
      SocketOption{"tcp:203.0.113.1:0,freebind", IPPROTO_IP, IP_FREEBIND, 1},
      SocketOption{"udp:[2001:db8::1]:0,freebind", IPPROTO_IPV6, IPV6_FREEBIND, 1},
      SocketOption{"tcp:127.0.0.1:0,transparent", IPPROTO_IP, IP_TRANSPARENT, 1},
      SocketOption{"tcp:127.0.0.1:0,reuseport", SOL_SOCKET, SO_REUSEPORT, 1},
      SocketOption{"tcp:127.0.0.1:0,bind-to-device=lo", SOL_SOCKET, SO_BINDTOIFINDEX, 1},
      SocketOption{"tcp:127.0.0.1:0,nodelay", IPPROTO_TCP, TCP_NODELAY, 1},
      SocketOption{"tcp:127.0.0.1:0,keepalive", SOL_SOCKET, SO_KEEPALIVE, 1},
      SocketOption{"tcp:127.0.0.1:0,keepalive-time=99", IPPROTO_TCP, TCP_KEEPIDLE, 99},
      SocketOption{"tcp:127.0.0.1:0,keepalive-interval=9", IPPROTO_TCP, TCP_KEEPINTVL, 9},
      SocketOption{"tcp:127.0.0.1:0,keepalive-probes=4", IPPROTO_TCP, TCP_KEEPCNT, 4},
      SocketOption{"udp:127.0.0.1:0,broadcast", SOL_SOCKET, SO_BROADCAST, 1},
      SocketOption{"udp:127.0.0.1:0,passpktinfo", IPPROTO_IP, IP_PKTINFO, 1},
      SocketOption{"udp:[::1]:0,passpktinfo", IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
      SocketOption{"netlink:route,passpktinfo", SOL_NETLINK, NETLINK_PKTINFO, 1},
      SocketOption{"unix:@fdchain-options,passcred", SOL_SOCKET, SO_PASSCRED, 1},
      SocketOption{"unix:@fdchain-options,passsec", SOL_SOCKET, SO_PASSSEC, 1},
      SocketOption{"udp:127.0.0.1:0,timestamping=us", SOL_SOCKET, SO_TIMESTAMP, 1},
      SocketOption{"udp:127.0.0.1:0,timestamping=ns", SOL_SOCKET, SO_TIMESTAMPNS, 1},
      SocketOption{"udp:127.0.0.1:0,rcvbuf=8K", SOL_SOCKET, SO_RCVBUF, 16384},
      SocketOption{"udp:127.0.0.1:0,sndbuf=16K", SOL_SOCKET, SO_SNDBUF, 32768},
      SocketOption{"unix-dgram:@fdchain-options,rcvbuf=128M", SOL_SOCKET, SO_RCVBUF, 256 << 20},
      SocketOption{"tcp:127.0.0.1:0,priority=5", SOL_SOCKET, SO_PRIORITY, 5},
      SocketOption{"tcp:127.0.0.1:0,mark=7", SOL_SOCKET, SO_MARK, 7},
      SocketOption{"tcp:127.0.0.1:0,tos=low-delay", IPPROTO_IP, IP_TOS, 16},
      SocketOption{"tcp:127.0.0.1:0,ttl=9", IPPROTO_IP, IP_TTL, 9},
      SocketOption{"tcp:[::1]:0,ttl=9", IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9},
  };
  for (const SocketOption& wanted : options) {
    const Opened opened = open_listening(parse_listen_spec(wanted.spec));
    EXPECT_EQ(option_of(opened.fd, wanted.level, wanted.option), wanted.expected) << wanted.spec;
    EXPECT_THAT(opened.remarks, ::testing::IsEmpty()) << wanted.spec;
  }
  const Opened deferring = open_listening(parse_listen_spec("tcp:127.0.0.1:0,defer-accept=7"));
  EXPECT_GE(option_of(deferring.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 7)
      << "the kernel counts in retransmissions";
}

TEST_F(OpenListening, BothFamiliesCanHaveOnePort) {
  const Opened v4 = open_listening(parse_listen_spec("tcp:0.0.0.0:0"));
  const std::string port = address_text(as_bound(parse_listen_spec("tcp:0.0.0.0:0"), v4.fd)).substr(8);
  EXPECT_THAT(failure("tcp:[::]:" + port), ::testing::EndsWith("Address already in use"));
  EXPECT_EQ(failure("tcp:[::]:" + port + ",v6only"), "opened");
}

TEST_F(OpenListening, NetlinkGroupsAreAMask) {
  const Opened opened = open_listening(parse_listen_spec("netlink:route 1361"));
  sockaddr_nl name{};
  socklen_t length = sizeof name;
  ASSERT_EQ(::getsockname(opened.fd.get(), reinterpret_cast<sockaddr*>(&name), &length), 0);
  EXPECT_EQ(name.nl_groups, 1361U);
}

TEST_F(OpenListening, TheKernelsPortIsTold) {
  const ListenSpec spec = parse_listen_spec("udp:[::1]:0");
  const Opened opened = open_listening(spec);
  const ListenSpec bound = as_bound(spec, opened.fd);
  EXPECT_NE(std::get<InetAddress>(bound.address).port, 0);
  EXPECT_EQ(address_text(bound), observe_fd(opened.fd.get())->socket->local);
}

TEST_F(OpenListening, AQueueAndAFifoHaveTheirSize) {
  const std::string name = "/fdchain-test-" + std::to_string(::getpid());
  const Opened queue =
      open_listening(parse_listen_spec("mqueue:" + name + ",max-messages=3,message-size=64"));
  mq_attr attributes{};
  ASSERT_EQ(::mq_getattr(queue.fd.get(), &attributes), 0);
  EXPECT_EQ(attributes.mq_maxmsg, 3);
  EXPECT_EQ(attributes.mq_msgsize, 64);
  const Opened fifo = open_listening(parse_listen_spec("fifo:" + path("f") + ",pipe-size=8K"));
  EXPECT_EQ(::fcntl(fifo.fd.get(), F_GETPIPE_SZ), 8192);
  const Opened special = open_listening(parse_listen_spec("special:/dev/zero,writable"));
  EXPECT_EQ(::fcntl(special.fd.get(), F_GETFL) & O_ACCMODE, O_RDWR);
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) < 0 ? 0 : status.st_mode & 07777;
}

TEST_F(OpenListening, MakesMissingDirectoriesAndLeavesThemWhenItIsTold) {
  {
    Opened opened = open_listening(parse_listen_spec("unix:" + path("a/b/s")));
    EXPECT_EQ(mode_of(path("a")), 0755U);
    EXPECT_EQ(mode_of(path("a/b")), 0755U);
    opened.directories.keep();
  }
  EXPECT_TRUE(std::filesystem::is_empty(path("a/b")));
  const Opened fifo = open_listening(parse_listen_spec("fifo:" + path("c/f") + ",dirmode=0777"));
  EXPECT_EQ(mode_of(path("c")), 0777U) << "whatever the umask";
}

TEST_F(OpenListening, AFailedOpeningLeavesNoDirectory) {
  { const Opened opened = open_listening(parse_listen_spec("unix:" + path("a/b/s"))); }
  EXPECT_EQ(failure("unix:" + path("a/b/s") + ",user=nobody-of-that-name"),
            "--listen unix:" + path("a/b/s") +
                ",user=nobody-of-that-name: there is no user nobody-of-that-name in /etc/passwd");
  EXPECT_EQ(failure("fifo:" + path("f") + ",group=nobody-of-that-name"),
            "--listen fifo:" + path("f") +
                ",group=nobody-of-that-name: there is no group nobody-of-that-name in /etc/group");
  std::ofstream(path("file")) << "";
  EXPECT_EQ(failure("unix:" + path("file/s")), "--listen unix:" + path("file/s") + ": bind: Not a directory");
  EXPECT_EQ(failure("unix:" + path("a/s") + ",symlink=" + path("file")),
            "--listen unix:" + path("a/s") + ",symlink=" + path("file") + ": symlink " + path("file") +
                ": File exists");
  std::filesystem::remove(path("file"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(OpenListening, GivesThePathToItsOwner) {
  const auto owner = [&](const std::string& options) {
    const Opened opened = open_listening(parse_listen_spec("unix:" + path("s") + options));
    struct stat status {};
    EXPECT_EQ(::lstat(path("s").c_str(), &status), 0);
    return std::pair(status.st_uid, status.st_gid);
  };
  EXPECT_EQ(owner(",user=daemon"), std::pair(1U, 1U)) << "a user's own group comes along";
  EXPECT_EQ(owner(",user=daemon,group=root"), std::pair(1U, 0U));
  EXPECT_EQ(owner(",user=4711"), std::pair(4711U, 0U));
  EXPECT_EQ(owner(",group=4712"), std::pair(0U, 4712U));
}

TEST_F(OpenListening, LinksLeadToThePathAndGoWithIt) {
  {
    const std::string spec =
        "unix:" + path("s") + ",symlink=" + path("links/one") + ",symlink=" + path("two");
    const Opened opened = open_listening(parse_listen_spec(spec));
    EXPECT_EQ(std::filesystem::read_symlink(path("links/one")), path("s"));
    EXPECT_EQ(std::filesystem::read_symlink(path("two")), path("s"));
  }
  EXPECT_FALSE(std::filesystem::exists(path("links")));
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(path("two"))));
}

TEST_F(OpenListening, SaysWhatIsInTheWay) {
  const Opened taken = open_listening(parse_listen_spec("tcp:127.0.0.1:45303"));
  EXPECT_EQ(failure("tcp:127.0.0.1:45303"), "--listen tcp:127.0.0.1:45303: bind: Address already in use");
  EXPECT_EQ(failure("unix:/dev/null/d/s"), "--listen unix:/dev/null/d/s: mkdir /dev/null/d: Not a directory");
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
