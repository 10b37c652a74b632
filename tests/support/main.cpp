#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <climits>

#include "fdchain/system/exec/child_side.h"
#include "tests/support/leak_check.h"

// CTest starts every test with descriptor 3 open on its log, and so do other runners with other numbers:
// nothing of that shall reach what the tests start. As a subreaper, a test sees every orphan that a run
// leaves.
int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  fdchain::mark_close_on_exec(STDERR_FILENO + 1, INT_MAX);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::testing::UnitTest::GetInstance()->listeners().Append(new fdchain::test::LeakListener);
  return RUN_ALL_TESTS();
}
