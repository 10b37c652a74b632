#include "fdchain/protocol/attach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdchain {
namespace {

TEST(Attach, AFrameIsItsStreamAndItsBytes) {
  const AttachFrame frame{AttachStream::err, std::string("a\0b", 3)};
  EXPECT_EQ(encode(frame), std::string("\x03"
                                       "a\0b",
                                       4));
  EXPECT_EQ(decode_attach_frame(encode(frame)), frame);
  EXPECT_EQ(decode_attach_frame("\x02"), (AttachFrame{AttachStream::out, ""}));
}

TEST(Attach, APacketOfNoStreamIsNoFrame) {
  for (const std::string& packet :
       {std::string(), std::string(1, '\0'), std::string("\x04x"), std::string("\xffx")})
    EXPECT_EQ(decode_attach_frame(packet), std::nullopt);
}

TEST(Attach, ControlLines) {
  const ControlMessage resize{ControlMessage::Kind::resize, 24, 80};
  EXPECT_EQ(encode(resize), "1 24 80\n");
  EXPECT_EQ(decode_control_line("1 24 80\n"), resize);
  EXPECT_EQ(decode_control_line("1  24\t80"), resize);
  EXPECT_EQ(decode_control_line("2 0 0"), (ControlMessage{ControlMessage::Kind::reopen_logs, 0, 0}));
  for (const auto* const line :
       {"", "1", "1 24", "3 0 0", "0 0 0", "1 -1 80", "1 24 1001", "x 24 80", "1 2x 80"})
    EXPECT_EQ(decode_control_line(line), std::nullopt) << line;
}

TEST(Attach, NotificationsOfStateAreRelayedAndNoOthers) {
  EXPECT_EQ(notification_to_relay("READY=1"), "READY=1");
  EXPECT_EQ(notification_to_relay("MAINPID=7\nREADY=1\nSTATUS=all is well\nFDSTORE=1\n"),
            "READY=1\nSTATUS=all is well");
  EXPECT_EQ(
      notification_to_relay("WATCHDOG=1\nRELOADING=1\nMONOTONIC_USEC=5\nSTOPPING=1\nERRNO=2\nBUSERROR=x"),
      "WATCHDOG=1\nRELOADING=1\nMONOTONIC_USEC=5\nSTOPPING=1\nERRNO=2\nBUSERROR=x");
  for (const auto* const text :
       {"", "READY=0", "READY=11", "XREADY=1", "MAINPID=1", "WATCHDOG=trigger", "BARRIER=1"})
    EXPECT_EQ(notification_to_relay(text), "") << text;
}

TEST(Attach, JournalFields) {
  EXPECT_EQ(journal_field("MESSAGE", "a=b"), "MESSAGE=a=b\n");
  EXPECT_EQ(journal_field("MESSAGE", "a\nb"), std::string("MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n", 20));
}

}  // namespace
}  // namespace fdchain
