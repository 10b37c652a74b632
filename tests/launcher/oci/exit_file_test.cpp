// The file in which a conmon says how its container has ended.

#include "launcher/oci/exit_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fs/files.h"
#include "tests/support/child.h"

namespace fdchain {
namespace {

class ExitFileTest : public ::testing::Test {
 protected:
  ExitFileTest() {
    std::filesystem::create_directory(place_.exits());
    file_.watch(place_, "id");
  }
  void publish(const std::string& text) const { write_file_atomically(place_.exits() + "/id", text); }

  test::TemporaryDirectory directory_;
  ContainerPlace place_{directory_.path()};
  ExitFile file_;
};

TEST_F(ExitFileTest, IsSeenWhenItAppears) {
  EXPECT_FALSE(is_readable(file_.changes().get()));
  EXPECT_EQ(file_.status(), std::nullopt);
  publish("3");
  EXPECT_TRUE(is_readable(file_.changes().get()));
  file_.forget_changes();
  EXPECT_FALSE(is_readable(file_.changes().get()));
  EXPECT_EQ(file_.status(), 3);
  EXPECT_FALSE(file_.says_timed_out());
}

TEST_F(ExitFileTest, SaysThatTheTimeoutIsOver) {
  publish("-1");
  EXPECT_EQ(file_.status(), 124);
  EXPECT_TRUE(file_.says_timed_out());
}

TEST_F(ExitFileTest, IsNoneWhereItIsNoStatus) {
  for (const auto* const text : {"", "256", "-2", "3 ", "three"}) {
    publish(text);
    EXPECT_EQ(file_.status(), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace fdchain
