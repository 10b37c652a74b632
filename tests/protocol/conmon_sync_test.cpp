#include "fdchain/protocol/conmon_sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdchain {
namespace {

ConmonMessage failure(std::string text) { return {-1, std::move(text), ConmonMessage::Key::data}; }

TEST(ConmonSync, IsSpelledAsConmonSpellsIt) {
  EXPECT_EQ(encode(ConmonMessage{4711, std::nullopt, ConmonMessage::Key::data}), "{\"data\": 4711}\n");
  EXPECT_EQ(encode(ConmonMessage{4711, std::nullopt, ConmonMessage::Key::pid}), "{\"pid\": 4711}\n");
  EXPECT_EQ(encode(ConmonMessage{7, std::nullopt, ConmonMessage::Key::exit_code}), "{\"exit_code\": 7}\n");
  EXPECT_EQ(encode(failure("a \"b\" \\ c\n\td\r\x7f")),
            "{\"data\": -1, \"message\": \"a \\\"b\\\" \\\\ c\\n\\td\\u000d\\u007f\"}\n");
}

TEST(ConmonSync, WhatIsEncodedIsReadAgain) {
  std::string bytes = "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7 ";
  for (char byte = 1; byte < 127; ++byte) bytes += byte;
  EXPECT_EQ(decode_conmon_message(encode(failure(bytes))), failure(bytes));
  for (const auto key : {ConmonMessage::Key::data, ConmonMessage::Key::pid, ConmonMessage::Key::exit_code}) {
    const ConmonMessage message{42, std::nullopt, key};
    EXPECT_EQ(decode_conmon_message(encode(message)), message);
  }
}

TEST(ConmonSync, BytesThatAreNoUtf8AreReplaced) {
  EXPECT_EQ(decode_conmon_message(encode(failure("a\xff\xc3z\xe2\x82"))), failure("a??z??"));
}

TEST(ConmonSync, AMessageOfAnyLengthFitsIntoADatagramAndIsJson) {
  for (const std::string piece : {"x", "\"", "\x01", "\xe2\x82\xac", "a\n"}) {
    for (std::size_t count = 600; count < 4500; count += 53) {
      std::string text;
      for (std::size_t i = 0; i < count; ++i) text += piece;
      const std::string line = encode(failure(text));
      ASSERT_LE(line.size(), conmon_message_max);
      const auto read = decode_conmon_message(line);
      ASSERT_TRUE(read && read->message);
      ASSERT_TRUE(text.starts_with(*read->message));
      ASSERT_TRUE(read->message->size() == text.size() || line.size() > conmon_message_max - 6)
          << "nothing is cut that would have fitted";
    }
  }
}

TEST(ConmonSync, WhatIsNoMessageIsNone) {
  for (const auto* const text : {"", "x", "[]", "{}", "{\"data\":\"1\"}", "{\"data\":1.5}",
                                 "{\"data\":99999999999}", "{\"message\":\"x\"}", "{\"data\": 1"}) {
    EXPECT_EQ(decode_conmon_message(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace fdchain
