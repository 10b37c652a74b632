#include "fdchain/model/listen_spec.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

using Kind = ListenSpec::Kind;
using Address = decltype(ListenSpec::address);

struct Good {
  std::string text;
  Kind kind;
  Address address;
};

void PrintTo(const Good& good, std::ostream* out) { *out << good.text; }

class ListenSpecReads : public ::testing::TestWithParam<Good> {};

TEST_P(ListenSpecReads, KindAndAddress) {
  ListenSpec expected;
  expected.kind = GetParam().kind;
  expected.address = GetParam().address;
  expected.text = GetParam().text;
  EXPECT_EQ(parse_listen_spec(GetParam().text), expected);
}

INSTANTIATE_TEST_SUITE_P(
    All, ListenSpecReads,
    ::testing::Values(Good{"tcp:8080", Kind::tcp, InetAddress{"", 8080, ""}},
                      Good{"8080", Kind::tcp, InetAddress{"", 8080, ""}},
                      Good{"127.0.0.1:8080", Kind::tcp, InetAddress{"127.0.0.1", 8080, ""}},
                      Good{"tcp:[::1]:1", Kind::tcp, InetAddress{"::1", 1, ""}},
                      Good{"udp:[fe80::1]:65535%lo", Kind::udp, InetAddress{"fe80::1", 65535, "lo"}},
                      Good{"/run/x.sock", Kind::unix_stream, PathAddress{"/run/x.sock"}},
                      Good{"@name", Kind::unix_stream, PathAddress{"@name"}},
                      Good{"unix:/a,b", Kind::unix_stream, PathAddress{"/a,b"}},
                      Good{"unix-dgram:@d", Kind::unix_dgram, PathAddress{"@d"}},
                      Good{"unix-seqpacket:/s", Kind::unix_seqpacket, PathAddress{"/s"}},
                      Good{"vsock:1:3000", Kind::vsock, VsockAddress{1, 3000}},
                      Good{"vsock:4294967295:3000", Kind::vsock, VsockAddress{VMADDR_CID_ANY, 3000}},
                      Good{"vsock::3000", Kind::vsock, VsockAddress{VMADDR_CID_ANY, 3000}},
                      Good{"fifo:/run/f", Kind::fifo, PathAddress{"/run/f"}},
                      Good{"netlink:route", Kind::netlink, NetlinkAddress{NETLINK_ROUTE, 0}},
                      Good{"netlink:kobject-uevent 1", Kind::netlink,
                           NetlinkAddress{NETLINK_KOBJECT_UEVENT, 1}},
                      Good{"mqueue:/q", Kind::mqueue, PathAddress{"/q"}},
                      Good{"special:/dev/null", Kind::special, PathAddress{"/dev/null"}}));

TEST(ListenSpec, OptionsFollowTheAddress) {
  const ListenSpec spec = parse_listen_spec("unix:/run/a,b.sock,name=web,mode=0600,backlog=5");
  EXPECT_EQ(spec.address, Address(PathAddress{"/run/a,b.sock"}));
  EXPECT_EQ(spec.name, "web");
  EXPECT_EQ(spec.mode, 0600U);
  EXPECT_EQ(spec.backlog, 5);
}

struct Bad {
  std::string text;
  std::string why;
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.text; }

class ListenSpecRefuses : public ::testing::TestWithParam<Bad> {};

TEST_P(ListenSpecRefuses, NamingTheValueAndTheReason) {
  try {
    parse_listen_spec(GetParam().text);
    FAIL() << "accepted";
  } catch (const Failure& failure) {
    EXPECT_EQ(std::string(failure.what()), "--listen " + GetParam().text + ": " + GetParam().why);
    EXPECT_EQ(failure.status(), exit_status::hop_failed);
  }
}

const std::string not_a_port = "not a port from 1 to 65535";
const std::string not_ipv4 = "not an IPv4 address with a port";
const std::string not_unix = "a unix socket address is an absolute /path or an @abstract name";
const std::string not_a_name = "a name has 1 to 255 printable characters and no colon";
const std::string no_kind =
    "not KIND:ADDRESS; KIND is one of tcp, udp, unix, unix-dgram, unix-seqpacket, vsock, fifo, netlink, "
    "mqueue, "
    "special";

INSTANTIATE_TEST_SUITE_P(
    All, ListenSpecRefuses,
    ::testing::Values(Bad{"", no_kind}, Bad{"host:80", no_kind}, Bad{"tcp:", "no port given"},
                      Bad{"tcp:0", not_a_port}, Bad{"tcp:70000", not_a_port}, Bad{"tcp:80x", not_a_port},
                      Bad{"tcp:-1", not_a_port}, Bad{"tcp:1.2.3:80", not_ipv4}, Bad{"tcp:::1:80", not_ipv4},
                      Bad{"tcp:[::1]", "an IPv6 address is [ADDRESS]:PORT"},
                      Bad{"tcp:[::g]:80", "not an IPv6 address in [brackets]"},
                      Bad{"tcp:[fe80::1]:80%", "no interface after %"}, Bad{"unix:relative", not_unix},
                      Bad{"unix:@", not_unix},
                      Bad{"unix:/" + std::string(107, 'x'),
                          "longer than the 107 bytes of a unix socket address"},
                      Bad{"vsock:3000", "a vsock address is CID:PORT or :PORT"},
                      Bad{"vsock:x:3000", "a vsock address is CID:PORT or :PORT"},
                      Bad{"netlink:nonsense", "not a netlink family that systemd.socket(5) names"},
                      Bad{"netlink:route x", "not a netlink multicast group"},
                      Bad{"mqueue:/a/b", "a message queue is named /NAME, without another slash"},
                      Bad{"fifo:x", "not an absolute path"}, Bad{"tcp:80,name=", not_a_name},
                      Bad{"tcp:80,name=a:b", not_a_name}, Bad{"unix:/x,mode=8", "mode is octal, 0 to 7777"},
                      Bad{"unix:/x,mode=10000", "mode is octal, 0 to 7777"},
                      Bad{"tcp:80,backlog=x", "backlog is a number"}, Bad{"tcp:127.0.0.1:", "no port given"},
                      Bad{"tcp:80,mode=0600", "mode is for what is made under a path"},
                      Bad{"unix:@a,mode=0600", "mode is for what is made under a path"},
                      Bad{"special:/dev/x,mode=0600", "mode is for what is made under a path"},
                      Bad{"udp:80,backlog=1", "backlog is for what accepts connections"},
                      Bad{"fifo:/f,backlog=1", "backlog is for what accepts connections"},
                      Bad{"tcp:80,backlog=1,backlog=1", "backlog is there twice"},
                      Bad{"tcp:80,name=a,name=b", "name is there twice"},
                      Bad{"unix:/s,mode=0600,mode=0666", "mode is there twice"},
                      Bad{"tcp:80,nam=x", "unknown option 'nam'; there are name, mode and backlog"}));

}  // namespace
}  // namespace fdchain
