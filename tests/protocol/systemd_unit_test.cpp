#include "fdchain/protocol/systemd_unit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

using ::testing::HasSubstr;

UnitRequest request_for(std::initializer_list<std::string_view> listen) {
  UnitRequest request{"echo", {}, {"/bin/launcher", "payload"}, true};
  for (const std::string_view text : listen) request.listen.push_back(parse_listen_spec(text));
  return request;
}

struct Line {
  std::string_view listen;
  std::string expected;
};

class ListenLine : public ::testing::TestWithParam<Line> {};

TEST_P(ListenLine, SaysItInSystemdsWords) {
  EXPECT_EQ(listen_line(parse_listen_spec(GetParam().listen)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(All, ListenLine,
                         ::testing::Values(Line{"tcp:8080", "ListenStream=8080"},
                                           Line{"127.0.0.1:80", "ListenStream=127.0.0.1:80"},
                                           Line{"udp:[::1]:53", "ListenDatagram=[::1]:53"},
                                           Line{"tcp:[fe80::1]:80%lo", "ListenStream=[fe80::1]:80%%lo"},
                                           Line{"unix:/run/a b%c.sock", "ListenStream=/run/a b%%c.sock"},
                                           Line{"unix-dgram:@abstract", "ListenDatagram=@abstract"},
                                           Line{"unix-seqpacket:/run/s", "ListenSequentialPacket=/run/s"},
                                           Line{"vsock:2:3000", "ListenStream=vsock:2:3000"},
                                           Line{"vsock::3000", "ListenStream=vsock:4294967295:3000"},
                                           Line{"fifo:/run/f", "ListenFIFO=/run/f"},
                                           Line{"special:/dev/null", "ListenSpecial=/dev/null"},
                                           Line{"mqueue:/q", "ListenMessageQueue=/q"},
                                           Line{"netlink:kobject-uevent 1,name=n",
                                                "ListenNetlink=kobject-uevent 1"}));

TEST(ListenLineRefuses, WhatALineOfAUnitFileCannotHold) {
  for (const char* const path : {"unix:/ends in a blank ", "unix:/two\nlines", "unix:/continued\\"}) {
    EXPECT_THROW(listen_line(parse_listen_spec(path)), Failure) << path;
  }
}

TEST(ExecWord, IsReadBackAsItWasMeant) {
  EXPECT_EQ(exec_word("/usr/bin/launcher"), "/usr/bin/launcher");
  EXPECT_EQ(exec_word("--env=A=b c"), "\"--env=A=b c\"");
  EXPECT_EQ(exec_word(""), "\"\"");
  EXPECT_EQ(exec_word("100%"), "100%%");
  EXPECT_EQ(exec_word("$HOME"), "$$HOME");
  EXPECT_EQ(exec_word("say \"hi\"\\"), "\"say \\\"hi\\\"\\\\\"");
  EXPECT_EQ(exec_word("it's"), "\"it's\"");
  EXPECT_EQ(exec_word(";"), "\";\"");
  EXPECT_EQ(exec_word("line\n\xff"), "\"line\\x0a\\xff\"");
}

TEST(MakeUnits, OneSocketUnitHoldsWhatHasOneName) {
  const auto units = make_units(request_for({"tcp:8080", "udp:8080"}));
  ASSERT_EQ(units.size(), 2U);
  EXPECT_EQ(units[0].name, "echo.socket");
  EXPECT_EQ(units[0].text,
            "[Unit]\nDescription=Sockets of echo\n\n[Socket]\nListenStream=8080\nListenDatagram=8080\n\n"
            "[Install]\nWantedBy=sockets.target\n");
  EXPECT_EQ(units[1].name, "echo.service");
  EXPECT_EQ(units[1].text,
            "[Unit]\nDescription=echo, behind fdchain's launcher\nRequires=echo.socket\nAfter=echo.socket\n\n"
            "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/launcher payload\nKillMode=mixed\n"
            "Restart=on-failure\n\n[Install]\nAlso=echo.socket\n");
}

TEST(MakeUnits, DifferentNamesNeedSeveral) {
  const auto units = make_units(request_for({"tcp:80,name=web", "unix:/run/a,name=admin,mode=0600,backlog=5",
                                             "tcp:81,name=web", "unix:/run/b", "unix:/run/c,mode=0600"}));
  ASSERT_EQ(units.size(), 5U);
  EXPECT_EQ(units[0].name, "echo-web.socket");
  EXPECT_EQ(units[0].text,
            "[Unit]\nDescription=Sockets of echo\n\n[Socket]\nListenStream=80\nListenStream=81\n"
            "FileDescriptorName=web\nService=echo.service\n\n[Install]\nWantedBy=sockets.target\n");
  EXPECT_EQ(units[1].name, "echo-admin.socket");
  EXPECT_THAT(units[1].text,
              HasSubstr("ListenStream=/run/a\nFileDescriptorName=admin\nSocketMode=0600\nBacklog=5\n"
                        "RemoveOnStop=yes\nService=echo.service\n"));
  EXPECT_EQ(units[2].name, "echo-3.socket");
  EXPECT_EQ(units[3].name, "echo-4.socket");
  EXPECT_THAT(units[4].text,
              HasSubstr("Requires=echo-web.socket echo-admin.socket echo-3.socket echo-4.socket\n"));
}

TEST(MakeUnits, WithoutASocketTheServiceIsStartedByItself) {
  UnitRequest request = request_for({});
  request.notify = false;
  const auto units = make_units(request);
  ASSERT_EQ(units.size(), 1U);
  EXPECT_EQ(units[0].text,
            "[Unit]\nDescription=echo, behind fdchain's launcher\n\n[Service]\nType=exec\n"
            "ExecStart=/bin/launcher payload\nKillMode=mixed\nRestart=on-failure\n\n[Install]\n"
            "WantedBy=default.target\n");
}

TEST(MakeUnits, RefusesANameNoUnitCanHave) {
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a/b"), std::string("a@b"),
                                  std::string("a.service"), std::string("ä"), std::string(260, 'a')}) {
    UnitRequest request = request_for({"tcp:80"});
    request.name = name;
    EXPECT_THROW(make_units(request), Failure) << name;
  }
}

}  // namespace
}  // namespace fdchain
