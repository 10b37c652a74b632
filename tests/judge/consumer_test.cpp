// A launcher that serves an API keeps its sockets: none of them is to go on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/judge/run_builder.h"

namespace fdchain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum Hop;
using enum Moment;

// As it is followed from outside: one socket for the launcher, nothing behind it.
RunBuilder service_run() {
  RunBuilder run(RunShape{.sockets = 0});
  HopRecord& service = run.at(launcher, arrival);
  service.contract.reset();
  service.keeps_sockets = true;
  service.environment = {{"LISTEN_FDS", "1"}, {"LISTEN_PID", std::to_string(launcher_pid)}};
  put_row(service, socket_row(3, 0));
  return run;
}

TEST(AnApiService, ThatKeepsItsSocketIsHealthy) {
  const RunBuilder run = service_run();
  EXPECT_THAT(run.findings(), IsEmpty());
  EXPECT_THAT(judge(run.records).unknown, IsEmpty());
}

TEST(AnApiService, ThatPassesItsSocketOnLeaksIt) {
  RunBuilder run = service_run();
  run.from(launcher, departure, [](HopRecord& record) { put_row(record, socket_row(20, 0)); });
  EXPECT_THAT(run.findings(), ElementsAre("fd-leaked 20 by launcher at monitor"));
}

TEST(AnApiService, ThatPassesItsSocketOnInPlaceLeaksItToo) {
  RunBuilder run = service_run();
  // The pipes of a conmon stand behind it.
  run.drop(launcher, departure);
  run.from(monitor, arrival, [](HopRecord& record) {
    if (record.hop == monitor && record.moment == arrival) {
      record.environment["_OCI_SYNCPIPE"] = "5";
      record.environment["_OCI_STARTPIPE"] = "4";
      FdRow sync = row_of(record, 3);
      sync.number = 5;
      put_row(record, sync);
    }
    put_row(record, socket_row(3, 0));
  });
  EXPECT_THAT(run.findings(), ElementsAre("fd-leaked 3 by launcher at monitor"));
}

}  // namespace
}  // namespace fdchain::test
