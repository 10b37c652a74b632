#include "fdchain/protocol/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <limits>

namespace fdchain {

void PrintTo(const HopRecord& record, std::ostream* out) { *out << encode(record); }

namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

constexpr auto most = std::numeric_limits<std::uint64_t>::max();

FdRow listening_socket() {
  FdRow row;
  row.number = 3;
  row.type = "TCP";
  row.mode = "rw";
  row.non_blocking = true;
  row.device = 8;
  row.inode = most;
  row.name = "state=listen laddr=127.0.0.1:8080";
  row.socket = SocketRow{AF_INET, SOCK_STREAM, true, most, "127.0.0.1:8080", "peer"};
  row.socket->waiting = 6;
  row.same_as = 5;
  return row;
}

FdRow refused() {
  FdRow row;
  row.number = 7;
  row.type = "SOCK";
  row.mode = "r-";
  row.close_on_exec = true;
  row.device = most;
  row.inode = 12;
  row.name = "socket:[12]";
  row.error = "EACCES";
  return row;
}

// Every field has a value of its own, none that it has by default.
HopRecord full_record() {
  HopRecord record;
  record.run = "run-1";
  record.hop = Hop::monitor;
  record.moment = Moment::after_exit;
  record.seen_by = Hop::runtime_shim;
  record.time_ns = most;
  record.pid = std::numeric_limits<pid_t>::max();
  record.ppid = 2;
  record.sid = 3;
  record.pid_in_namespace = 4;
  record.pidfdid = most - 1;
  record.exe = "/usr/bin/monitor";
  record.environment = {{"LISTEN_FDS", "1"}, {"_OCI_SYNCPIPE", "4"}};
  record.nofile_soft = 1024;
  record.preserve_fds = 2;
  record.replaces_listen_pid = true;
  record.relays_notify = true;
  record.keeps_sockets = true;
  record.nofile_hard = most;
  record.ignored_signals = {1, 13, 64};
  record.fds = {listening_socket(), refused()};
  record.contract = Contract{{{3, "web", listening_socket()}}, true, {refused()}, true};
  record.heard = {"{\"data\":1}", ""};
  record.told = {"{\"data\":0}"};
  record.ended = "exited with status 3";
  record.queues = {listening_socket()};
  record.children = {{77, "Z", "sh"}};
  return record;
}

HopRecord decoded(const std::string& line) {
  auto result = decode_record(line);
  if (const auto* const bad = std::get_if<BadRecord>(&result)) throw std::runtime_error(bad->why);
  return std::get<HopRecord>(result);
}

json::object as_object(const HopRecord& record) { return json::parse(encode(record)).as_object(); }

TEST(TraceRecord, OfEveryFieldIsReadBack) {
  const HopRecord record = full_record();
  EXPECT_EQ(decoded(encode(record)), record);
}

TEST(TraceRecord, OfNoOptionalFieldIsReadBack) {
  HopRecord record;
  record.run = "r";
  EXPECT_EQ(decoded(encode(record)), record);
}

TEST(TraceRecord, OfEveryHopAndMomentIsReadBack) {
  for (const Hop hop : {Hop::activator, Hop::launcher, Hop::monitor, Hop::runtime_shim, Hop::payload}) {
    for (const Moment moment : all_moments) {
      HopRecord record = full_record();
      record.hop = record.seen_by = hop;
      record.moment = moment;
      EXPECT_EQ(decoded(encode(record)), record);
    }
  }
}

TEST(TraceRecord, OfASocketOfAnUnknownFamilyIsReadBack) {
  HopRecord record = full_record();
  record.fds[0].socket->family = AF_BLUETOOTH;
  record.fds[0].socket->type = SOCK_RDM;
  EXPECT_EQ(decoded(encode(record)), record);
}

TEST(TraceRecord, IsOneLine) {
  HopRecord record = full_record();
  record.exe = "/a\nb\rc\x1b[31m";
  const std::string line = encode(record);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
}

TEST(TraceRecord, KeepsControlCharacters) {
  HopRecord record = full_record();
  const std::string hostile("\x1b[2J\x07\n\r\t\x7f\"\\\0end", 16);
  record.exe = hostile;
  record.environment["LISTEN_FDNAMES"] = hostile;
  record.fds[0].name = hostile;
  record.fds[0].socket->local = hostile;
  record.children[0].command = hostile;
  EXPECT_EQ(decoded(encode(record)), record);
}

TEST(TraceRecord, KeepsUtf8) {
  HopRecord record = full_record();
  record.exe = "/\u00e4/\u20ac/\U0001f980";
  EXPECT_EQ(decoded(encode(record)).exe, record.exe);
}

struct Bytes {
  const char* label;
  std::string bytes;
  std::string written;
};
void PrintTo(const Bytes& bytes, std::ostream* out) { *out << bytes.label; }

class BytesThatAreNotUtf8 : public ::testing::TestWithParam<Bytes> {};

// A record that a reader has to throw away because of a name in it would be lost.
TEST_P(BytesThatAreNotUtf8, AreWrittenInHexWhereverTheyAre) {
  const std::string& bytes = GetParam().bytes;
  const std::string& written = GetParam().written;
  HopRecord record = full_record();
  record.run = record.exe = record.fds[0].name = record.fds[0].type = record.fds[0].mode = bytes;
  record.fds[0].error = record.fds[0].socket->local = record.fds[0].socket->peer = bytes;
  record.environment = {{"LISTEN_FDNAMES", bytes}};
  record.contract->sockets[0].name = bytes;
  record.heard = record.told = {bytes};
  record.ended = bytes;
  record.children = {{1, bytes, bytes}};
  HopRecord expected = full_record();
  expected.run = expected.exe = expected.fds[0].name = expected.fds[0].type = expected.fds[0].mode = written;
  expected.fds[0].error = expected.fds[0].socket->local = expected.fds[0].socket->peer = written;
  expected.environment = {{"LISTEN_FDNAMES", written}};
  expected.contract->sockets[0].name = written;
  expected.heard = expected.told = {written};
  expected.ended = written;
  expected.children = {{1, written, written}};
  EXPECT_EQ(decoded(encode(record)), expected);
}

INSTANTIATE_TEST_SUITE_P(
    All, BytesThatAreNotUtf8,
    ::testing::Values(Bytes{"lone_bytes", "a\xff\xfez", "a\\xff\\xfez"},
                      Bytes{"cut_short", "\xe2\x82", "\\xe2\\x82"},
                      Bytes{"overlong", "\xc0\xaf\xe0\x80\xaf", "\\xc0\\xaf\\xe0\\x80\\xaf"},
                      Bytes{"surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
                      Bytes{"beyond_the_last", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
                      Bytes{"overlong_of_four", "\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf"}),
    [](const auto& param_info) { return param_info.param.label; });

TEST(TraceReader, IgnoresUnknownKeysEverywhere) {
  json::object object = as_object(full_record());
  object["novelty"] = json::array{1, "two"};
  object["fds"].as_array()[0].as_object()["novelty"] = nullptr;
  object["fds"].as_array()[0].as_object()["socket"].as_object()["novelty"] = 1.5;
  object["contract"].as_object()["novelty"] = true;
  object["children"].as_array()[0].as_object()["novelty"] = json::object{};
  EXPECT_EQ(decoded(json::serialize(object)), full_record());
}

TEST(TraceReader, PutsRowsAndSignalsInOrder) {
  json::object object = as_object(full_record());
  auto& rows = object["fds"].as_array();
  std::swap(rows[0], rows[1]);
  object["ignored_signals"] = json::array{64, 1, 13};
  EXPECT_EQ(decoded(json::serialize(object)), full_record());
}

// The reason a record is refused for, or "read" when it is not.
std::string refusal(const json::value& value) {
  const auto result = decode_record(json::serialize(value));
  const auto* const bad = std::get_if<BadRecord>(&result);
  if (bad == nullptr) return "read";
  return (bad->kind == BadRecord::Kind::not_a_record ? "" : "of another kind: ") + bad->why;
}

TEST(TraceReader, NamesEveryKeyThatIsMissing) {
  const json::object whole = as_object(full_record());
  for (const auto& [key, value] : whole) {
    static const std::vector<std::string> optional{"preserve_fds",  "replaces_listen_pid",
                                                   "relays_notify", "keeps_sockets",
                                                   "pidfdid",       "contract",
                                                   "heard",         "told",
                                                   "ended",         "queues",
                                                   "children",      "counts_sockets",
                                                   "program"};
    json::object object = whole;
    object.erase(key);
    const bool can_do_without = std::ranges::find(optional, key) != optional.end();
    EXPECT_EQ(refusal(object), can_do_without ? "read" : std::string(key) + " is missing");
  }
}

TEST(TraceReader, NamesEveryKeyOfARowThatIsMissing) {
  const json::object whole = as_object(full_record());
  const json::object row = whole.at("fds").as_array()[0].as_object();
  for (const auto& [key, value] : row) {
    json::object object = whole;
    object["fds"].as_array()[0].as_object().erase(key);
    const bool can_do_without = key == "socket" || key == "same_as";
    EXPECT_EQ(refusal(object), can_do_without ? "read" : "fds[0]." + std::string(key) + " is missing");
  }
  for (const auto& [key, value] : row.at("socket").as_object()) {
    json::object object = whole;
    object["fds"].as_array()[0].as_object()["socket"].as_object().erase(key);
    EXPECT_EQ(refusal(object),
              key == "waiting" ? "read" : "fds[0].socket." + std::string(key) + " is missing");
  }
}

// An object is of no use wherever one of these is wanted.
TEST(TraceReader, NamesEveryKeyOfAWrongType) {
  const json::object whole = as_object(full_record());
  for (const auto& [key, value] : whole) {
    json::object object = whole;
    object[key] = value.is_object() ? json::value("text") : json::value(json::object{});
    EXPECT_THAT(refusal(object), ::testing::StartsWith(std::string(key) + " is not ")) << key;
  }
}

TEST(TraceReader, NamesTheElementOfAWrongType) {
  json::object object = as_object(full_record());
  object["heard"].as_array()[1] = 4;
  EXPECT_EQ(refusal(object), "heard[1] is not a text");
  object = as_object(full_record());
  object["contract"].as_object()["sockets"].as_array()[0].as_object()["row"].as_object()["inode"] = -1;
  EXPECT_EQ(refusal(object), "contract.sockets[0].row.inode is not a number that fits here");
  object = as_object(full_record());
  object["environment"].as_object()["LISTEN_FDS"] = 1;
  EXPECT_EQ(refusal(object), "environment.LISTEN_FDS is not a text");
}

TEST(TraceReader, NamesAValueOutOfItsRange) {
  json::object object = as_object(full_record());
  object["hop"] = "cook";
  EXPECT_EQ(refusal(object), "hop is not a hop");
  object = as_object(full_record());
  object["moment"] = "tea-time";
  EXPECT_EQ(refusal(object), "moment is not a moment");
  object = as_object(full_record());
  object["pid"] = 4294967296;
  EXPECT_EQ(refusal(object), "pid is not a number that fits here");
  object = as_object(full_record());
  object["pid"] = 1.5;
  EXPECT_EQ(refusal(object), "pid is not a number that fits here");
  for (const int number : {-1, std::numeric_limits<int>::max()}) {
    object = as_object(full_record());
    object["fds"].as_array()[0].as_object()["fd"] = number;
    EXPECT_EQ(refusal(object), "fds[0].fd is not a descriptor");
  }
}

TEST(TraceReader, RefusesWhatIsNoObject) {
  for (const json::value& value :
       {json::value(1), json::value("text"), json::value(nullptr), json::value(json::array{})})
    EXPECT_EQ(refusal(value), "the record is not an object");
}

TEST(TraceReader, KnowsANewerSchemaWhateverElseIsThere) {
  for (const std::string text : {"2", "18446744073709551615"}) {
    const auto result = decode_record("{\"schema\":" + text + "}");
    const auto* const bad = std::get_if<BadRecord>(&result);
    ASSERT_NE(bad, nullptr);
    EXPECT_EQ(bad->kind, BadRecord::Kind::newer_schema);
    EXPECT_EQ(bad->why, "schema " + text + ", this program reads 1");
  }
  EXPECT_EQ(refusal(json::object{{"schema", 0}}), "schema is not 1");
}

TEST(TraceReader, TellsALineThatIsNoJson) {
  const std::string line = encode(full_record());
  for (const std::string& text :
       {std::string("hello"), line.substr(0, line.size() / 2), std::string("{\"a\":\"\xff\"}"),
        std::string("{}{}"), std::string(100'000, '[')}) {
    const auto result = decode_record(text);
    const auto* const bad = std::get_if<BadRecord>(&result);
    ASSERT_NE(bad, nullptr);
    EXPECT_EQ(bad->kind, BadRecord::Kind::not_json) << text.substr(0, 40);
  }
}

TEST(TraceReader, GivesUpOnALineThatWantsTooMuchMemory) {
  std::string line = "{\"novelty\":[0";
  for (int i = 0; i < 4'000'000; ++i) line += ",0";
  const auto result = decode_record(line + "]}");
  const auto* const bad = std::get_if<BadRecord>(&result);
  ASSERT_NE(bad, nullptr);
  EXPECT_EQ(bad->why, "needs too much memory");
}

}  // namespace
}  // namespace fdchain
