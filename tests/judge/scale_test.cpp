// Of a trace with very many descriptors, whoever wrote it: a verdict and reports in time.

#include <gtest/gtest.h>

#include <ctime>

#include "fdchain/report/report.h"
#include "tests/judge/run_builder.h"

namespace fdchain::test {
namespace {

using enum Hop;
using enum Moment;

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Every socket in every hop, and as many descriptors that nobody announced, held to the end.
RunBuilder large_run(int sockets) {
  RunBuilder run(RunShape{.sockets = sockets, .foreign = true});
  for (HopRecord& record : run.records) {
    if (record.hop == launcher && record.moment == arrival) continue;
    if (record.moment == after_exit) record.fds = run.at(monitor, departure).fds;
    for (int i = 0; i < sockets; ++i) record.fds.push_back(socket_row(100'000 + i, 100'000 + i));
  }
  return run;
}

// In processor time, so that nobody else's work counts.
double seconds_to_judge(int sockets) {
  const RunBuilder run = large_run(sockets);
  const double begin = cpu_seconds();
  EXPECT_FALSE(judge(run.records).findings.empty());
  return cpu_seconds() - begin;
}

double seconds_to_report(int sockets) {
  const RunBuilder run = large_run(sockets);
  const JudgedRun judged{run.records, judge(run.records), std::nullopt};
  const double begin = cpu_seconds();
  for (const auto format : {ReportFormat::text, ReportFormat::mermaid, ReportFormat::dot})
    EXPECT_FALSE(write_report(format, judged).empty());
  return cpu_seconds() - begin;
}

// With a look at all others for each of them, it would be 256 times as much.
TEST(LargeTraces, OfSixteenTimesTheSocketsAreJudgedInLittleMoreThanSixteenTimesTheTime) {
  const double small = seconds_to_judge(1'000);
  const double large = seconds_to_judge(16'000);
  EXPECT_LT(large, 64 * small) << small << " s for 1,000 sockets, " << large << " s for 16,000";
}

TEST(LargeTraces, OfEightTimesTheSocketsAreReportedInLittleMoreThanEightTimesTheTime) {
  const double small = seconds_to_report(500);
  const double large = seconds_to_report(4'000);
  EXPECT_LT(large, 32 * small) << small << " s for 500 sockets, " << large << " s for 4,000";
}

}  // namespace
}  // namespace fdchain::test
