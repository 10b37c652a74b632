#include <gtest/gtest.h>

#include <cstdlib>

#include "fdchain/protocol/k8s_log.h"
#include "fdchain/protocol/start_pipe.h"
#include "fdchain/protocol/sync_pipe.h"

namespace fdchain {
namespace {

SyncMessage data(int value) {
  SyncMessage message;
  message.data = value;
  return message;
}

SyncMessage failure(const std::string& text, int status) {
  SyncMessage message;
  message.message = text;
  message.status = status;
  return message;
}

TEST(SyncPipe, SpeaksConmonsWords) {
  EXPECT_EQ(encode(data(4711)), "{\"data\":4711}\n");
  EXPECT_EQ(encode(failure("exec x: \"quoted\"\n", 127)),
            "{\"data\":-1,\"message\":\"exec x: \\\"quoted\\\"\\n\",\"status\":127}\n");
}

TEST(SyncPipe, EveryMessageIsReadBack) {
  SyncMessage by_signal = data(137);
  by_signal.signal = 9;
  SyncMessage timed_out = data(124);
  timed_out.timed_out = true;
  for (const auto& message : {data(0), data(4711), by_signal, timed_out, failure("why", 125)}) {
    EXPECT_EQ(decode_sync_message(encode(message)), message);
  }
}

TEST(SyncPipe, UnderstandsConmonAndIgnoresWhatItDoesNotKnow) {
  EXPECT_EQ(decode_sync_message("{\"data\": 7, \"new\": [1, {}]}\n"), data(7));
  SyncMessage expected = data(-1);
  expected.message = "x";
  EXPECT_EQ(decode_sync_message("{\"data\": -1, \"message\": \"x\"}"), expected);
}

TEST(SyncPipe, AStatusOrASignalThatThereIsNotIsNotTaken) {
  for (const auto* const status : {"0", "-1", "256", "\"127\""}) {
    const auto text = std::string("{\"data\":-1,\"status\":") + status + "}";
    EXPECT_EQ(decode_sync_message(text), data(-1)) << text;
  }
  for (const auto* const signal : {"0", "65", "-9"}) {
    const auto text = std::string("{\"data\":1,\"signal\":") + signal + "}";
    EXPECT_EQ(decode_sync_message(text), data(1)) << text;
  }
}

TEST(SyncPipe, ALongMessageIsCutToOneDatagram) {
  const auto line = encode(failure(std::string(100'000, '"'), 125));
  EXPECT_LE(line.size(), sync_message_max);
  EXPECT_GT(line.size(), 500U);
  const auto read = decode_sync_message(line);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->status, 125);
}

TEST(SyncPipe, RefusesWhatIsNoMessage) {
  for (const auto* const bad :
       {"", "x", "7", "[]", "{}", "{\"data\":\"7\"}", "{\"data\":99999999999}", "{\"data\":7"}) {
    EXPECT_EQ(decode_sync_message(bad), std::nullopt) << bad;
  }
}

TEST(StartPipe, EveryMessageIsReadBackAndGoIsConmonsZero) {
  using enum StartMessage::Kind;
  EXPECT_EQ(encode(StartMessage{go}), 0);
  for (const auto& message :
       {StartMessage{go}, StartMessage{signal, 1}, StartMessage{signal, 64}, StartMessage{leave}}) {
    EXPECT_EQ(decode_start_message(encode(message)), message);
  }
  EXPECT_EQ(decode_start_message(65), std::nullopt);
}

TEST(K8sLog, WritesFullAndPartialEntriesAsConmonDoes) {
  EXPECT_EQ(k8s_entries("T", "stdout", "one\n\ntwo"), "T stdout F one\nT stdout F \nT stdout P two\n");
  EXPECT_EQ(k8s_entries("T", "stderr", "-cont\n"), "T stderr F -cont\n");
  EXPECT_EQ(k8s_entries("T", "stdout", ""), "");
}

TEST(K8sLog, StampsInLocalTimeWithNanoseconds) {
  ::setenv("TZ", "XXX-05:30", 1);
  ::tzset();
  EXPECT_EQ(k8s_stamp({1'700'000'000, 42}), "2023-11-15T03:43:20.000000042+05:30");
  ::setenv("TZ", "XXX+03", 1);
  ::tzset();
  EXPECT_EQ(k8s_stamp({1'700'000'000, 999'999'999}), "2023-11-14T19:13:20.999999999-03:00");
  ::unsetenv("TZ");
  ::tzset();
}

}  // namespace
}  // namespace fdchain
