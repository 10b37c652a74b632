#include "fdchain/model/listen_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>

#include <fstream>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_options.h"

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
                      Good{"tcp:0", Kind::tcp, InetAddress{"", 0, ""}},
                      Good{"netlink:16 3", Kind::netlink, NetlinkAddress{NETLINK_GENERIC, 3}},
                      Good{"netlink:kobject-uevent 1", Kind::netlink,
                           NetlinkAddress{NETLINK_KOBJECT_UEVENT, 1}},
                      Good{"mqueue:/q", Kind::mqueue, PathAddress{"/q"}},
                      Good{"mqueue:/a,b", Kind::mqueue, PathAddress{"/a,b"}},
                      Good{"special:/dev/null", Kind::special, PathAddress{"/dev/null"}}));

TEST(ListenSpec, OptionsFollowTheAddress) {
  const ListenSpec spec = parse_listen_spec("unix:/run/a,b.sock,name=web,mode=0600,backlog=5");
  EXPECT_EQ(spec.address, Address(PathAddress{"/run/a,b.sock"}));
  EXPECT_EQ(spec.name, "web");
  EXPECT_EQ(spec.mode, 0600U);
  EXPECT_EQ(spec.backlog, 5);
}

// Every option at once, for each kind, in the order in which they are written.
class ListenSpecWrites : public ::testing::TestWithParam<std::string> {};

TEST_P(ListenSpecWrites, WhatItHasRead) {
  const ListenSpec spec = parse_listen_spec(GetParam());
  EXPECT_EQ(to_text(spec), GetParam());
  EXPECT_EQ(parse_listen_spec(to_text(spec)), spec);
}

INSTANTIATE_TEST_SUITE_P(
    All, ListenSpecWrites,
    ::testing::Values("tcp:[::]:80,name=web,backlog=5,v6only,freebind,transparent,reuseport,bind-to-device="
                      "lo,nodelay,keepalive,"
                      "keepalive-time=60,keepalive-interval=5,keepalive-probes=3,defer-accept=2,congestion="
                      "reno,timestamping=us,"
                      "rcvbuf=8388608,sndbuf=1024,priority=3,mark=7,tos=16,ttl=9",
                      "tcp:80,accept,max-connections=5", "tcp:80,v6only=no", "tcp:[fe80::1]:80%lo",
                      "udp:127.0.0.1:53,freebind,broadcast,passpktinfo,timestamping=ns",
                      "unix:/run/a,b/s,name=a "
                      "b,mode=0600,dirmode=0700,user=daemon,group=12,symlink=/x,symlink=/y,passcred,passsec",
                      "unix-dgram:@d,passcred,priority=1", "unix-seqpacket:/s,backlog=0",
                      "vsock:2:3000,rcvbuf=4096", "fifo:/f,mode=0640,user=0,pipe-size=65536",
                      "mqueue:/q,mode=0600,max-messages=5,message-size=64",
                      "netlink:kobject-uevent 4,passcred,passpktinfo,rcvbuf=134217728",
                      "special:/dev/zero,writable"));

TEST(ListenSpec, OptionsHaveSystemdsOtherSpellings) {
  EXPECT_EQ(
      to_text(parse_listen_spec("tcp:80,rcvbuf=8M,sndbuf=64K,tos=low-delay,keepalive-time=2min,nodelay=on,"
                                "keepalive=no,v6only=yes,backlog=4294967295")),
      "tcp:80,v6only,nodelay,keepalive-time=120,rcvbuf=8388608,sndbuf=65536,tos=16");
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

const std::string not_a_port = "not a port from 0 to 65535";
const std::string no_names = "names are not looked up";
const std::string in_brackets = "an IPv6 address stands in brackets: ";
const std::string all_addresses = "for every address of the machine give the port alone";
const std::string not_unix = "a unix socket address is an absolute /path or an @abstract name";
const std::string not_a_name = "name is 1 to 255 printable characters without a colon";
const std::string a_count = " a number from 0 to 4294967295";
const std::string a_size = " is a size from 1 to 2147483647, K, M or G behind it";
const std::string words_of_tcp =
    "name, backlog, accept, max-connections, v6only, freebind, transparent, reuseport, bind-to-device, "
    "nodelay, "
    "keepalive, keepalive-time, keepalive-interval, keepalive-probes, defer-accept, congestion, "
    "timestamping, "
    "rcvbuf, sndbuf, priority, mark, tos and ttl";
const std::string no_kind =
    "not KIND:ADDRESS; KIND is one of tcp, udp, unix, unix-dgram, unix-seqpacket, vsock, fifo, netlink, "
    "mqueue, "
    "special";

INSTANTIATE_TEST_SUITE_P(
    All, ListenSpecRefuses,
    ::testing::Values(
        Bad{"", no_kind}, Bad{"host:80", no_kind}, Bad{"tcp:", "no port given"}, Bad{"tcp:70000", not_a_port},
        Bad{"tcp:80x", not_a_port}, Bad{"tcp:-1", not_a_port},
        Bad{"tcp:1.2.3:80", "'1.2.3' is no IPv4 address, and " + no_names},
        Bad{"udp:host.example:80", "'host.example' is no IPv4 address, and " + no_names},
        Bad{"tcp:localhost:0", no_names + "; write 127.0.0.1:0 or [::1]:0"}, Bad{"tcp:*:80", all_addresses},
        Bad{"tcp::80", all_addresses},
        Bad{"tcp:127.0.0.1", "no port given; write 127.0.0.1:PORT, 0 for one that the kernel chooses"},
        Bad{"127.0.0.1", "no port given; write 127.0.0.1:PORT, 0 for one that the kernel chooses"},
        Bad{"udp:[::1]", "no port given; write [::1]:PORT, 0 for one that the kernel chooses"},
        Bad{"tcp:::1:80", in_brackets + "[::1]:80"}, Bad{"tcp:fe80::1", in_brackets + "[fe80::1]:PORT"},
        Bad{"tcp:[::1]80", "an IPv6 address is [ADDRESS]:PORT"},
        Bad{"tcp:[::g]:80", "not an IPv6 address in [brackets]"},
        Bad{"tcp:[fe80::1]:80%", "no interface after %"}, Bad{"unix:relative", not_unix},
        Bad{"unix:@", not_unix},
        Bad{"unix:/" + std::string(107, 'x'), "longer than the 107 bytes of a unix socket address"},
        Bad{"vsock:3000", "a vsock address is CID:PORT or :PORT"},
        Bad{"vsock:x:3000", "a vsock address is CID:PORT or :PORT"},
        Bad{"netlink:nonsense", "not a netlink family that systemd.socket(5) names"},
        Bad{"netlink:route x", "not a mask of netlink multicast groups"},
        Bad{"mqueue:/a/b", "a message queue is named /NAME, without another slash"},
        Bad{"fifo:x", "not an absolute path"}, Bad{"tcp:80,name=", not_a_name},
        Bad{"tcp:80,name=a:b", not_a_name}, Bad{"unix:/x,mode=8", "mode is octal, 0 to 7777"},
        Bad{"unix:/x,mode=10000", "mode is octal, 0 to 7777"},
        Bad{"tcp:80,backlog=x", "backlog is" + a_count}, Bad{"tcp:80,backlog=-1", "backlog is" + a_count},
        Bad{"tcp:80,backlog=4294967296", "backlog is" + a_count}, Bad{"tcp:127.0.0.1:", "no port given"},
        Bad{"tcp:80,mode=0600", "mode is for what is made under a path"},
        Bad{"unix:@a,mode=0600", "mode is for what is made under a path"},
        Bad{"special:/dev/x,mode=0600", "mode is for what is made under a path"},
        Bad{"udp:80,backlog=1", "backlog is for what accepts connections"},
        Bad{"fifo:/f,backlog=1", "backlog is for what accepts connections"},
        Bad{"tcp:80,backlog=1,backlog=1", "backlog is there twice"},
        Bad{"tcp:80,name=a,name=b", "name is there twice"},
        Bad{"unix:/s,mode=0600,mode=0666", "mode is there twice"},
        Bad{"tcp:80,nam=x", "unknown option 'nam'; there are " + words_of_tcp},
        Bad{"tcp:80,v6onyl", "unknown option 'v6onyl'; there are " + words_of_tcp},
        Bad{"tcp:80,name", "name needs a value: name=…"},
        Bad{"tcp:[fe80::1%lo]:80", "the interface comes last: [ADDRESS]:PORT%INTERFACE"},
        Bad{"tcp:127.0.0.1:80,v6only", "v6only is for IPv6 addresses"},
        Bad{"udp:80,nodelay", "nodelay is for tcp"}, Bad{"unix:/x,freebind", "freebind is for tcp and udp"},
        Bad{"unix:@x,user=root", "user is for unix paths and FIFOs"},
        Bad{"mqueue:/q,user=root", "user is for unix paths and FIFOs"},
        Bad{"fifo:/f,rcvbuf=1", "rcvbuf is for sockets"},
        Bad{"tcp:80,passcred", "passcred is for unix sockets and netlink"},
        Bad{"udp:80,accept", "accept is for what accepts connections"},
        Bad{"tcp:80,max-connections=5", "max-connections is for accept"},
        Bad{"tcp:80,accept,name=x", "with accept every socket's name is connection"},
        Bad{"mqueue:/q,max-messages=5", "max-messages and message-size need each other"},
        Bad{"unix:/x,passcred=maybe", "passcred is yes or no"},
        Bad{"unix:/x,passcred=", "passcred is yes or no"},
        Bad{"unix:/x,passcred,passcred", "passcred is there twice"},
        Bad{"unix:/x,user=", "user is a word of 1 to 255 characters"},
        Bad{"unix:/x,dirmode=9", "dirmode is octal, 0 to 7777"},
        Bad{"unix:/x,symlink=y", "symlink is an absolute path"},
        Bad{"tcp:80,bind-to-device=averylongdevice1", "bind-to-device is a word of 1 to 15 characters"},
        Bad{"tcp:80,rcvbuf=", "rcvbuf" + a_size}, Bad{"tcp:80,rcvbuf=0", "rcvbuf" + a_size},
        Bad{"tcp:80,rcvbuf=2G", "rcvbuf" + a_size}, Bad{"tcp:80,rcvbuf=1X", "rcvbuf" + a_size},
        Bad{"tcp:80,sndbuf=99999999999999999999", "sndbuf" + a_size},
        Bad{"tcp:80,priority=-1", "priority is a number from 0 to 2147483647"},
        Bad{"tcp:80,ttl=256", "ttl is a number from 1 to 255"},
        Bad{"tcp:80,tos=x", "tos is 0 to 255, low-delay, throughput, reliability or low-cost"},
        Bad{"tcp:80,keepalive-time=0", "keepalive-time is a time from 1 to 32767 seconds"},
        Bad{"tcp:80,accept,max-connections=0", "max-connections is a number from 1 to 100000"},
        Bad{"unix-dgram:/x,timestamping=ps", "timestamping is off, us or ns"}));

TEST(ListenOptions, TheManualHasEachOfThem) {
  std::ifstream file(FDCHAIN_SOURCE_DIR "/docs/socket-options.md");
  const std::string manual(std::istreambuf_iterator<char>(file), {});
  for (const ListenOption& option : listen_options()) {
    EXPECT_THAT(manual, ::testing::HasSubstr("`" + std::string(option.word) + "`"));
    EXPECT_THAT(manual, ::testing::HasSubstr("`" + std::string(option.key) + "=`"));
  }
}

}  // namespace
}  // namespace fdchain
