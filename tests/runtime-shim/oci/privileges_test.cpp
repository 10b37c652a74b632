// What of a process's privileges can be told from its configuration alone.

#include "runtime-shim/oci/privileges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fdchain/model/failure.h"

namespace fdchain::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Privileges, UnknownCapabilitiesAreNamedOnceWhicheverSetTheyAreIn) {
  Process process;
  EXPECT_THAT(unknown_capabilities(process), IsEmpty());
  process.capabilities = Capabilities{
      {"CAP_KILL", "CAP_FUTURE"}, {"CAP_FUTURE"}, {"cap_kill"}, {"CAP_CHOWN"}, {"CAP_FUTURE", "\n"}};
  EXPECT_THAT(unknown_capabilities(process), ElementsAre("CAP_FUTURE", "\\x0a", "cap_kill"));
}

TEST(Privileges, TheCallersGroupsAreKeptForEveryValueButZero) {
  const std::string name = "run.oci.keep_original_groups";
  EXPECT_EQ(wanted_groups({}), Groups::as_configured);
  EXPECT_EQ(wanted_groups({{name, "0"}}), Groups::as_configured);
  for (const auto* const value : {"1", "true", "yes", ""})
    EXPECT_EQ(wanted_groups({{name, value}}), Groups::of_caller) << value;
}

TEST(Privileges, ALimitHasANameAndItsSoftValueIsNotAboveTheHardOne) {
  const auto refusal = [](const Rlimit& limit) -> std::string {
    Process process;
    process.rlimits = {limit};
    try {
      check_privileges(process);
      return "";
    } catch (const Failure& failure) {
      return failure.what();
    }
  };
  EXPECT_EQ(refusal({"RLIMIT_NOFILE", 5, 5}), "");
  EXPECT_EQ(refusal({"RLIMIT_NOFILE", 6, 5}),
            "process.rlimits: RLIMIT_NOFILE: the soft limit is above the hard one");
  EXPECT_EQ(refusal({"NOFILE", 5, 5}), "process.rlimits: NOFILE: no such limit");
}

}  // namespace
}  // namespace fdchain::oci
