#include "fdchain/system/trace/trace_reader.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "fdchain/model/failure.h"
#include "fdchain/protocol/trace.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "tests/support/child.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

HopRecord record_of(const std::string& run, pid_t pid) {
  HopRecord record;
  record.run = run;
  record.pid = pid;
  return record;
}

std::string line_of(const std::string& run, pid_t pid) { return encode(record_of(run, pid)); }

class TraceReading : public ::testing::Test {
 protected:
  // The file with this text in it.
  std::string file(const std::string& text) {
    const std::string path = directory_.file("trace");
    write_file_atomically(path, text);
    return path;
  }

  // The one line a reader is refused with, with the directory left out; the status belongs to it.
  std::string refusal(const std::string& path, const std::optional<std::string>& only = std::nullopt) {
    try {
      (void)read_trace(path, only);
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.status(), 2);
      std::string text = failure.what();
      if (text.starts_with(directory_.path() + '/')) text.erase(0, directory_.path().size() + 1);
      return text;
    }
    return "read";
  }

  TemporaryDirectory directory_;
};

TEST_F(TraceReading, GivesTheRecordsInTheirOrder) {
  const TraceContent content = read_trace(file(line_of("a", 1) + line_of("a", 2)));
  EXPECT_THAT(content.runs, ElementsAre(ElementsAre(record_of("a", 1), record_of("a", 2))));
  EXPECT_THAT(content.remarks, IsEmpty());
}

TEST_F(TraceReading, SortsMixedRunsApart) {
  const std::string path = file(line_of("a", 1) + line_of("b", 2) + line_of("a", 3) + line_of("b", 4));
  EXPECT_THAT(read_trace(path).runs, ElementsAre(ElementsAre(record_of("a", 1), record_of("a", 3)),
                                                 ElementsAre(record_of("b", 2), record_of("b", 4))));
  EXPECT_THAT(read_trace(path, "b").runs, ElementsAre(ElementsAre(record_of("b", 2), record_of("b", 4))));
}

TEST_F(TraceReading, RefusesWhatIsNotThere) {
  EXPECT_EQ(refusal(directory_.file("absent")), "absent: No such file or directory");
  EXPECT_EQ(refusal(file(line_of("a", 1)), "z"), "trace: no record of the run z");
}

TEST_F(TraceReading, RefusesADirectory) {
  EXPECT_EQ(refusal(directory_.path()), directory_.path() + ": Is a directory");
}

TEST_F(TraceReading, RefusesAnEmptyFile) {
  EXPECT_EQ(refusal(file("")), "trace: no record of a hop in it");
  EXPECT_EQ(refusal(file("\n\n")), "trace: no record of a hop in it");
}

TEST_F(TraceReading, RefusesWhatHasNoRecord) {
  EXPECT_EQ(refusal(file("{}\n")),
            "trace: no record of a hop in it; 1 line left out: no record; the first one: schema is missing");
  EXPECT_EQ(refusal(file("{\"schema\":1")),
            "trace: no record of a hop in it; the last line is cut short, and is left out");
}

TEST_F(TraceReading, RefusesANewerSchema) {
  EXPECT_EQ(refusal(file(line_of("a", 1) + "{\"schema\":2}\n")), "trace: schema 2, this program reads 1");
}

TEST_F(TraceReading, KeepsWhatIsThereOfACutTrace) {
  const std::string whole = line_of("a", 1) + line_of("a", 2);
  const TraceContent content = read_trace(file(whole.substr(0, whole.size() - 10)));
  EXPECT_THAT(content.runs, ElementsAre(ElementsAre(record_of("a", 1))));
  EXPECT_THAT(content.remarks, ElementsAre("the last line is cut short, and is left out"));
}

// Without its newline a record is whole nevertheless.
TEST_F(TraceReading, KeepsALastLineWithoutItsEnd) {
  const std::string line = line_of("a", 1);
  const TraceContent content = read_trace(file(line.substr(0, line.size() - 1)));
  EXPECT_THAT(content.runs, ElementsAre(ElementsAre(record_of("a", 1))));
  EXPECT_THAT(content.remarks, IsEmpty());
}

TEST_F(TraceReading, LeavesOutLinesThatAreNoRecords) {
  const TraceContent content = read_trace(file("hello\n" + line_of("a", 1) + "[1,2]\n\n" + line_of("a", 2)));
  EXPECT_THAT(content.runs, ElementsAre(ElementsAre(record_of("a", 1), record_of("a", 2))));
  EXPECT_THAT(content.remarks, ElementsAre("2 lines left out: no record; the first one: syntax error"));
}

TEST_F(TraceReading, LeavesOutALineThatIsTooLong) {
  const std::string novelty = "{\"novelty\":\"" + std::string(9U << 20, 'x') + "\"}\n";
  const TraceContent content = read_trace(file(line_of("a", 1) + novelty + line_of("a", 2)));
  EXPECT_THAT(content.runs, ElementsAre(ElementsAre(record_of("a", 1), record_of("a", 2))));
  EXPECT_THAT(content.remarks, ElementsAre("1 line left out: longer than 8 MiB"));
}

TEST_F(TraceReading, ReadsALineThatSpansManyBlocks) {
  HopRecord record = record_of("a", 1);
  record.exe = std::string(1U << 20, 'x');
  EXPECT_THAT(read_trace(file(encode(record))).runs, ElementsAre(ElementsAre(record)));
}

// A record of a megabyte: sixty-three of them fit.
HopRecord large_record(const std::string& run, pid_t pid) {
  HopRecord record = record_of(run, pid);
  record.exe = std::string(1U << 20, 'x');
  return record;
}

TEST_F(TraceReading, LeavesOutTheOldestRunsOfATraceThatDoesNotFit) {
  std::string text = encode(large_record("oldest", 1)) + encode(large_record("old", 2));
  for (int i = 0; i < 62; ++i) text += encode(large_record("new", i));
  text += encode(large_record("newest", 1));
  const TraceContent content = read_trace(file(text));
  std::vector<std::string> kept;
  for (const auto& run : content.runs) kept.push_back(run.front().run);
  EXPECT_THAT(kept, ElementsAre("new", "newest"));
  EXPECT_THAT(content.remarks, ElementsAre("2 older runs left out: the trace does not fit into 64 MiB"));
}

TEST_F(TraceReading, LeavesOutTheLastRecordsOfARunThatDoesNotFit) {
  std::string text;
  for (int i = 0; i < 70; ++i) text += encode(large_record("a", i));
  const TraceContent content = read_trace(file(text));
  ASSERT_EQ(content.runs.size(), 1U);
  const std::size_t kept = content.runs[0].size();
  EXPECT_GE(kept, 60U);
  EXPECT_LT(kept, 64U);
  EXPECT_THAT(content.remarks,
              ElementsAre(std::to_string(70 - kept) + " records left out: the run does not fit into 64 MiB"));
}

// Each with a name of its own: a reader that searched them one by one would take minutes.
TEST_F(TraceReading, IsQuickWithManyRuns) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += line_of(std::to_string(i), 1);
  const TraceContent content = read_trace(file(text));
  EXPECT_GT(content.runs.size(), 10'000U);
  EXPECT_EQ(content.runs.back().front().run, "99999");
}

}  // namespace
}  // namespace fdchain::test
