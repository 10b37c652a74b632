// FDCHAIN_FAULT and FDCHAIN_PROFILE, read once.

#include "fdchain/plan/edits/asked.h"

#include <gtest/gtest.h>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

AskedEdits asked_by(std::vector<std::string> assignments) { return asked_edits(Environment(assignments)); }

TEST(AskedEdits, AreNoneWithoutTheVariables) {
  const AskedEdits asked = asked_by({"A=b"});
  EXPECT_TRUE(asked.faults.empty());
  EXPECT_TRUE(asked.profiles.is_ideal());
}

TEST(AskedEdits, AreAllThatTheVariablesName) {
  const AskedEdits asked = asked_by({"FDCHAIN_FAULT=monitor:set-cloexec=3,runtime-shim:set-cloexec=4",
                                     "FDCHAIN_PROFILE=launcher=podman-4.8,monitor=conmon"});
  EXPECT_EQ(to_string(asked.faults), "monitor:set-cloexec=3,runtime-shim:set-cloexec=4");
  EXPECT_EQ(to_string(asked.profiles), "launcher=podman-4.8,monitor=conmon");
}

TEST(AskedEdits, ThatDoNotExistAreRefused) {
  EXPECT_THROW(asked_by({"FDCHAIN_FAULT=monitor:nosuch"}), Failure);
  EXPECT_THROW(asked_by({"FDCHAIN_PROFILE=nosuch"}), Failure);
}

}  // namespace
}  // namespace fdchain
