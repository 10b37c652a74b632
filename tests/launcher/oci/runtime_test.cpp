// What a launcher makes of a runtime's words.

#include "launcher/oci/runtime.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "tests/support/child.h"

namespace fdchain {
namespace {

// crun's and runc's own, and what podman has for them.
TEST(OciRefusal, GivesPodmansStatus) {
  EXPECT_EQ(status_of_refusal("crun: executable file `nosuch` not found in $PATH: No such file or directory"),
            127);
  EXPECT_EQ(status_of_refusal("exec: \"nosuch\": executable file not found in $PATH"), 127);
  EXPECT_EQ(status_of_refusal("crun: open executable: Permission denied"), 126);
  EXPECT_EQ(status_of_refusal("exec /etc/passwd: permission denied"), 126);
  EXPECT_EQ(status_of_refusal("permission denied: no such file"), 126) << "the first that is looked for";
  EXPECT_EQ(status_of_refusal("cannot set up cgroups"), 125);
  EXPECT_EQ(status_of_refusal(""), 125);
}

TEST(OciRefusal, IsOneLineThatHarmsNoTerminal) {
  EXPECT_EQ(one_line("runc: no\n\n"), "runc: no");
  EXPECT_EQ(one_line("a\nb\x1b[2J\n"), "a\\x0ab\\x1b[2J");
  EXPECT_EQ(one_line("\n"), "");
}

TEST(OciRefusal, OfARuntimeThatSaidNothingIsHowItEnded) {
  EXPECT_EQ(why_not({WaitStatus::for_exit_code(1), "runc: no\n"}), "runc: no");
  EXPECT_EQ(why_not({WaitStatus::for_exit_code(3), "\n"}), "exited with status 3 without a word");
  EXPECT_EQ(why_not({WaitStatus::for_signal(SIGKILL), ""}), "was killed by signal 9 (Killed) without a word");
}

TEST(OciRefusal, IsTheLastErrorInTheRuntimesLog) {
  const test::TemporaryDirectory directory;
  EXPECT_EQ(last_error_in(directory.file("log")), std::nullopt);
  std::ofstream(directory.file("log")) << R"({"level":"error","msg":"first"})" << '\n'
                                       << R"({"level":"error","msg":"second"})" << '\n'
                                       << R"({"level":"warning","msg":"later"})" << '\n'
                                       << "no JSON\n";
  EXPECT_EQ(last_error_in(directory.file("log")), "second");
}

}  // namespace
}  // namespace fdchain
