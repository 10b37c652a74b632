#include "tests/support/leak_check.h"

#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/processes.h"

namespace fdchain::test {
namespace {

std::vector<int> open_fds() {
  std::vector<int> numbers;
  for (const FdRow& row : observe_fds()) numbers.push_back(row.number);
  return numbers;
}

}  // namespace

void LeakListener::OnTestStart(const ::testing::TestInfo&) { fds_ = open_fds(); }

void LeakListener::OnTestEnd(const ::testing::TestInfo&) {
  EXPECT_EQ(fds_, open_fds()) << "descriptors leaked";
  EXPECT_EQ(children_of_this_process(), std::vector<pid_t>{}) << "children left";
}

}  // namespace fdchain::test
