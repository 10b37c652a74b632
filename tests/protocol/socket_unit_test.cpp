#include "fdchain/protocol/socket_unit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "fdchain/model/failure.h"
#include "fdchain/protocol/systemd_unit.h"
#include "fdchain/protocol/unit_syntax.h"

namespace fdchain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Specifiers specifiers{{'t', "/run/user/7"}, {'h', "/home/x"}, {'u', "x"}};

SocketUnit parse(const std::string& text, const std::string& name = "echo.socket") {
  return parse_socket_unit(name, name, {{name, text}}, specifiers);
}

std::vector<std::string> texts(const SocketUnit& unit) {
  std::vector<std::string> result;
  for (const ListenSpec& spec : unit.listen) result.push_back(to_text(spec));
  return result;
}

TEST(SocketUnit, EveryKindOfAddress) {
  const SocketUnit unit = parse(R"([Unit]
Description=all of them

[Socket]
ListenStream=8080
ListenStream=127.0.0.1:80
ListenStream=[fe80::1]:80%%lo
ListenDatagram=[::1]:53
ListenStream=/run/x y.sock
ListenDatagram=@abstract
ListenSequentialPacket=/run/packets
ListenFIFO=/run/fifo
ListenSpecial=/dev/null
ListenNetlink=kobject-uevent 4
ListenNetlink=16   0x10
ListenMessageQueue=/queue
ListenStream=vsock:2:3000
ListenStream=vsock::3000
FileDescriptorName=n

[Install]
WantedBy=sockets.target
)");
  EXPECT_THAT(unit.notes, IsEmpty());
  EXPECT_THAT(
      texts(unit),
      ElementsAre("tcp:8080,name=n", "tcp:127.0.0.1:80,name=n", "tcp:[fe80::1]:80%lo,name=n",
                  "udp:[::1]:53,name=n", "unix:/run/x y.sock,name=n", "unix-dgram:@abstract,name=n",
                  "unix-seqpacket:/run/packets,name=n", "fifo:/run/fifo,name=n", "special:/dev/null,name=n",
                  "netlink:kobject-uevent 4,name=n", "netlink:generic 16,name=n", "mqueue:/queue,name=n",
                  "vsock:2:3000,name=n", "vsock:4294967295:3000,name=n"));
}

TEST(SocketUnit, SocketsAreNamedAfterTheUnit) {
  EXPECT_THAT(texts(parse("[Socket]\nListenStream=80\n")), ElementsAre("tcp:80,name=echo.socket"));
  EXPECT_THAT(texts(parse("[Socket]\nListenStream=80\n", "e@1.socket")),
              ElementsAre("tcp:80,name=e@1.socket"));
}

TEST(SocketUnit, AnOptionIsForEverySocketForWhichItMeansSomething) {
  const SocketUnit unit = parse(R"([Socket]
SocketMode=0600
DirectoryMode=0700
SocketUser=daemon
SocketGroup=adm
Backlog=5
BindIPv6Only=ipv6-only
ReceiveBuffer=8M
PassCredentials=on
KeepAlive=TRUE
KeepAliveTimeSec=2min
IPTOS=low-delay
ListenStream=[::]:80
ListenStream=/run/s
ListenFIFO=/run/f
)");
  EXPECT_THAT(unit.notes, IsEmpty());
  EXPECT_THAT(
      texts(unit),
      ElementsAre(
          "tcp:[::]:80,name=echo.socket,backlog=5,v6only,keepalive,keepalive-time=120,rcvbuf=8388608,tos=16",
          "unix:/run/s,name=echo.socket,mode=0600,dirmode=0700,user=daemon,group=adm,backlog=5,passcred,"
          "rcvbuf=8388608",
          "fifo:/run/f,name=echo.socket,mode=0600,dirmode=0700,user=daemon,group=adm"));
}

TEST(SocketUnit, WithAcceptSystemdNamesTheConnections) {
  const SocketUnit unit =
      parse("[Socket]\nListenStream=80\nAccept=yes\nMaxConnections=5\nFileDescriptorName=x\n");
  EXPECT_THAT(texts(unit), ElementsAre("tcp:80,accept,max-connections=5"));
}

TEST(SocketUnit, TheSyntaxIsThatOfSystemd) {
  const SocketUnit unit = parse(
      "\xef\xbb\xbf; a comment\n"
      "# another\\\n"
      "  [Socket]\r\n"
      "\tListenStream = 80 \n"
      "ListenStream=\\\n"
      "   # between two lines that are one\n"
      "  81\n"
      "Symlinks=/a \"/b c\" \\\n"
      " '/d'\n"
      "ListenStream=/run/s\n"
      "Symlinks=/e\n"
      "[X-Ours]\n"
      "Anything=goes\n"
      "[Socket]\n"
      "X-Ours=goes too\n"
      "ListenStream=82");
  EXPECT_THAT(unit.notes, IsEmpty());
  EXPECT_THAT(texts(unit),
              ElementsAre("tcp:80,name=echo.socket", "tcp:81,name=echo.socket",
                          "unix:/run/s,name=echo.socket,symlink=/a,symlink=/b c,symlink=/d,symlink=/e",
                          "tcp:82,name=echo.socket"));
}

TEST(SocketUnit, AnEmptyValueTakesBackWhatWasSaid) {
  const SocketUnit unit = parse(
      "[Socket]\nListenStream=80\nListenFIFO=/f\nListenDatagram=\nListenStream=/"
      "s\nSocketMode=0600\nSocketMode=\n"
      "Symlinks=/a\nSymlinks=\nSymlinks=/"
      "b\nBindIPv6Only=both\nBindIPv6Only=default\nSocketUser=daemon\nSocketUser=\n");
  EXPECT_THAT(texts(unit), ElementsAre("unix:/s,name=echo.socket,symlink=/b"));
  EXPECT_THAT(unit.notes, IsEmpty());
}

TEST(SocketUnit, DropInsComeAfterTheUnit) {
  const SocketUnit unit = parse_socket_unit("e.socket", "e.socket",
                                            {{"e.socket", "[Socket]\nListenStream=80\nSocketMode=0600\n"},
                                             {"10.conf", "[Socket]\nListenStream=\nListenStream=/s\n"},
                                             {"20.conf", "[Socket]\nSocketMode=0640\n"}},
                                            specifiers);
  EXPECT_THAT(texts(unit), ElementsAre("unix:/s,name=e.socket,mode=0640"));
}

TEST(SocketUnit, ADropInIsReadUpToAHeaderThatDoesNotEnd) {
  const SocketUnit unit =
      parse_socket_unit("e.socket", "e.socket",
                        {{"e.socket", "[Socket]\nListenStream=80\n"},
                         {"10.conf", "[Socket]\nListenStream=81\n[X\nListenStream=82\n", true}},
                        specifiers);
  EXPECT_THAT(texts(unit), ElementsAre("tcp:80,name=e.socket", "tcp:81,name=e.socket"));
  EXPECT_THAT(unit.notes,
              ElementsAre("10.conf:3: a section header without ]; the rest of the file is ignored"));
}

TEST(SocketUnit, NumbersSpansAndSizesAreReadAsSystemdReadsThem) {
  const SocketUnit unit = parse(
      "[Socket]\nListenStream=0x50\nMark=0x10\nKeepAliveTimeSec=1min 30s\nKeepAliveIntervalSec=1.5\n"
      "DeferAcceptSec=0.5h1s\nReceiveBuffer=1.5M\nSendBuffer=1M 512K\nBacklog=+5\n");
  EXPECT_THAT(unit.notes, IsEmpty());
  EXPECT_THAT(texts(unit),
              ElementsAre("tcp:80,name=echo.socket,backlog=5,keepalive-time=90,keepalive-interval=2,"
                          "defer-accept=1801,rcvbuf=1572864,sndbuf=1572864,mark=16"));
  EXPECT_THAT(parse("[Socket]\nListenStream=80\nListenStream=080\nReceiveBuffer=1.M\nSendBuffer=M\nMark=-1\n"
                    "KeepAliveTimeSec=1x\nDeferAcceptSec=99999999999999999999y\n")
                  .notes,
              ::testing::SizeIs(6));
}

TEST(SocketUnit, SpecifiersAreReplaced) {
  const auto expanded = [](const std::string& value, const std::string& name) {
    return address_text(parse("[Socket]\nListenFIFO=/" + value + "\n", name).listen.front());
  };
  const std::string instance = R"(a-b@c-d\x20e.socket)";
  EXPECT_EQ(expanded("%n", instance), "/" + instance);
  EXPECT_EQ(expanded("%N", instance), R"(/a-b@c-d\x20e)");
  EXPECT_EQ(expanded("%p,%P", instance), "/a-b,a/b");
  EXPECT_EQ(expanded("%i,%I", instance), R"(/c-d\x20e,c/d e)");
  EXPECT_EQ(expanded("%j,%J", instance), "/b,b");
  EXPECT_EQ(expanded("%f", instance), "//c/d e");
  EXPECT_EQ(expanded("%t%h/%u", "x.socket"), "//run/user/7/home/x/x");
  EXPECT_EQ(expanded("100%%", "x.socket"), "/100%");
  EXPECT_EQ(expanded("%-%", "x.socket"), "/%-%") << "what can be no specifier stays";
}

TEST(SocketUnit, WhatIsNotDoneIsSaidAndTheRestGoesOn) {
  const SocketUnit unit = parse(
      "Early=1\n"
      "[Unit]\n"
      "ConditionPathExists=/x\n"
      "After=y.service\n"
      "[Nonsense]\n"
      "ListenStream=1\n"
      "[Socket]\n"
      "no assignment\n"
      "ListenStream=80\n"
      "ListenStream=nowhere\n"
      "ListenStream=0\n"
      "ListenSequentialPacket=80\n"
      "ListenFIFO=%d/f\n"
      "ListenFIFO=\xff\n"
      "ExecStartPre=/bin/true\n"
      "ExecStopPost=\n"
      "SocketMode=rw\n"
      "NoDelay=perhaps\n"
      "Symlinks=\"/a\n"
      "SmackLabel=x\n"
      "SELinuxContextFromNet=no\n"
      "PipeSize=4K\n"
      "Writable=no\n"
      "Service=x.service\n"
      "PrivateTmp=yes\n"
      "IPAddressDeny=any\n"
      "KillMode=\n"
      "Frobnicate=yes\n"
      "ListenFIFO=/%z\n");
  EXPECT_THAT(texts(unit), ElementsAre("tcp:80,name=echo.socket"));
  EXPECT_THAT(
      unit.notes,
      ElementsAre(
          "echo.socket:1: an assignment before any section; ignored",
          "echo.socket:3: ConditionPathExists= is not checked",
          "echo.socket:5: unknown section [Nonsense]; ignored", "echo.socket:8: a line without =; ignored",
          "echo.socket:10: ListenStream=nowhere: not a port from 0 to 65535; ignored",
          "echo.socket:11: ListenStream=0: 0 is no port for systemd; ignored",
          "echo.socket:12: ListenSequentialPacket=80: a unix socket address is an absolute /path or an "
          "@abstract name; ignored",
          "echo.socket:13: ListenFIFO=%d/f: nothing is known for %d; ignored",
          "echo.socket:14: not UTF-8; ignored", "echo.socket:15: ExecStartPre= is not run",
          "echo.socket:17: SocketMode=rw: not octal, 0 to 7777; ignored",
          "echo.socket:18: NoDelay=perhaps: not yes or no; ignored",
          "echo.socket:19: Symlinks=\"/a: a quote that does not end; ignored",
          "echo.socket:20: SmackLabel= is not carried out by fdchain",
          "echo.socket:22: PipeSize= means nothing for these sockets",
          "echo.socket:25: PrivateTmp= is not carried out by fdchain",
          "echo.socket:26: IPAddressDeny= is not carried out by fdchain",
          "echo.socket:28: unknown key 'Frobnicate' in section [Socket]; ignored",
          "echo.socket:29: ListenFIFO=/%z: nothing is known for %z; ignored"));
}

TEST(SocketUnit, WhatIsSaidOfADropInComesBehindWhatIsSaidOfTheUnit) {
  const SocketUnit unit = parse_socket_unit(
      "e.socket", "e.socket",
      {{"e.socket", "[Socket]\nListenStream=80\nBroadcast=yes\nno assignment\nPipeSize=4K\n"},
       {"10.conf", "[Socket]\nPipeSize=8K\nExecStartPre=/bin/true\nPassCredentials=yes\n[X\n", true}},
      specifiers);
  EXPECT_THAT(unit.notes,
              ElementsAre("e.socket:3: Broadcast= means nothing for these sockets",
                          "e.socket:4: a line without =; ignored",
                          "10.conf:2: PipeSize= means nothing for these sockets",
                          "10.conf:3: ExecStartPre= is not run",
                          "10.conf:4: PassCredentials= means nothing for these sockets",
                          "10.conf:5: a section header without ]; the rest of the file is ignored"));
}

std::string refusal(const std::string& text) {
  try {
    parse(text);
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "read";
}

TEST(SocketUnit, WhatCannotBeOpenedIsRefused) {
  const std::string nothing =
      "--unit echo.socket: there is nothing to listen on (ListenStream=, ListenDatagram=, ...)";
  EXPECT_EQ(refusal(""), nothing);
  EXPECT_EQ(refusal("[Socket]\nListenStream=80\nListenStream=\n"), nothing);
  EXPECT_EQ(refusal("[Socket]\nListenStream=80\nSocketProtocol=sctp\n"),
            "--unit echo.socket: echo.socket:3: fdchain cannot open SocketProtocol=sctp");
  EXPECT_EQ(refusal("[Socket]\nListenStream=80\n[Install\n"), "echo.socket:3: a section header without ]");
  EXPECT_EQ(refusal("[Socket]\nListenUSBFunction=/x\n"),
            "--unit echo.socket: echo.socket:2: fdchain cannot open ListenUSBFunction=/x");
}

TEST(SocketUnit, WhatSystemdDoesNotStartIsRefused) {
  EXPECT_EQ(
      refusal("[Socket]\nListenStream=80\nAccept=yes\nService=x.service\n"),
      "--unit echo.socket: echo.socket:4: Service= is not for a unit with Accept=yes, which has a service "
      "for each connection");
  EXPECT_EQ(refusal("[Socket]\nListenStream=80\nAccept=yes\nMaxConnections=0\n"),
            "--unit echo.socket: echo.socket:4: MaxConnections=0 serves nobody");
  EXPECT_EQ(refusal("[Socket]\nListenStream=80\nMaxConnections=0\n"), "read");
  EXPECT_EQ(refusal("[Socket]\nListenStream=/a\nListenFIFO=/b\nSymlinks=/c\n"),
            "--unit echo.socket: echo.socket:4: Symlinks= is for one path, and there are 2");
  EXPECT_EQ(refusal("[Socket]\nListenStream=@a\nSymlinks=/c\n"),
            "--unit echo.socket: echo.socket:3: Symlinks= is for one path, and there are 0");
  EXPECT_EQ(refusal("[Socket]\nListenStream=/a\nListenStream=@b\nSymlinks=/c\n"), "read");
}

// What generate systemd writes, and what is read of it, is the same.
class UnitRoundTrip : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(UnitRoundTrip, GivesBackWhatWasWritten) {
  UnitRequest request{"echo", {}, {"/bin/launcher"}, true};
  for (const std::string& text : GetParam()) request.listen.push_back(parse_listen_spec(text));
  std::vector<std::string> read;
  for (const UnitFile& unit : make_units(request)) {
    if (!unit.name.ends_with(".socket")) continue;
    const SocketUnit parsed = parse_socket_unit(unit.name, unit.name, {{unit.name, unit.text}}, {});
    EXPECT_THAT(parsed.notes, IsEmpty());
    for (const ListenSpec& spec : parsed.listen) read.push_back(to_text(spec));
  }
  std::vector<std::string> written;
  for (const ListenSpec& spec : request.listen) written.push_back(to_text(spec));
  EXPECT_THAT(read, ::testing::UnorderedElementsAreArray(written));
}

INSTANTIATE_TEST_SUITE_P(
    All, UnitRoundTrip,
    ::testing::Values(
        std::vector<std::string>{"tcp:80,name=a", "udp:[::1]:53,name=a", "unix:/run/a b%c,name=a",
                                 "vsock::3000,name=a", "netlink:route 1361,name=a",
                                 "special:/dev/null,name=a", "mqueue:/q,name=a"},
        std::vector<std::string>{
            "tcp:[::]:80,name=web,backlog=5,v6only,freebind,transparent,reuseport,bind-to-device=lo,nodelay,"
            "keepalive,"
            "keepalive-time=60,keepalive-interval=5,keepalive-probes=3,defer-accept=2,congestion=reno,"
            "timestamping=us,rcvbuf=8388608,sndbuf=1024,priority=3,mark=7,tos=16,ttl=9",
            "tcp:80,name=both,v6only=no", "tcp:[fe80::1]:80%lo,name=lo"},
        std::vector<std::string>{
            "unix:/run/s,name=100%,mode=0600,dirmode=0700,user=daemon,group=12,symlink=/x,symlink=/y "
            "z,passcred,passsec",
            "unix:/run/t,name=100%,mode=0600,dirmode=0700,user=daemon,group=12,passcred,passsec"},
        std::vector<std::string>{"fifo:/f,name=f,mode=0640,pipe-size=65536",
                                 "special:/dev/zero,name=s,writable",
                                 "mqueue:/q,name=q,mode=0600,max-messages=5,message-size=64",
                                 "udp:127.0.0.1:53,name=u,freebind,broadcast,passpktinfo,timestamping=ns",
                                 "netlink:kobject-uevent 4,name=n,passcred,passpktinfo,rcvbuf=134217728"},
        std::vector<std::string>{"tcp:80,accept", "unix:/s,mode=0600,accept",
                                 "tcp:81,accept,max-connections=5"}));

TEST(SocketUnit, RandomTextIsReadWithoutHarm) {
  std::mt19937 random(1);
  const std::string pieces[]{"[Socket]\n",  "ListenStream=",
                             "\n",          "\\\n",
                             "=",           "%",
                             "\"",          "'",
                             "[",           "]",
                             "/run/x",      "80",
                             "Symlinks=",   "Accept=yes\n",
                             "#",           ";",
                             "\xff",        "-",
                             "\\x",         "@",
                             "SocketMode=", "[Unit]\n"};
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (int i = 0; i < 20; ++i) text += pieces[random() % std::size(pieces)];
    refusal("[Socket]\n" + text);
    unescape_unit_name(text);
  }
}

TEST(SocketUnit, AUnitHasAUnitsName) {
  for (const char* const name : {"a.socket", "a-b@c\\x20d.socket", "a:b_c.d.socket"})
    EXPECT_TRUE(is_socket_unit_name(name)) << name;
  for (const char* const name : {"", ".socket", "a.service", "a", "a@.socket", "@a.socket", "a b.socket"})
    EXPECT_FALSE(is_socket_unit_name(name)) << name;
}

}  // namespace
}  // namespace fdchain
