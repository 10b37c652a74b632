#include "fdchain/plan/mount_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "fdchain/model/failure.h"

namespace fdchain {
namespace {

using ::testing::Contains;

TEST(MountOptions, AreSortedIntoWhatTheKernelIsAskedFor) {
  MountOptions expected;
  expected.bind = true;
  expected.recursive = true;
  expected.attributes = {MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV};
  expected.everywhere = {MOUNT_ATTR_RDONLY, 0};
  expected.propagation = MS_SLAVE;
  expected.propagation_recursive = true;
  EXPECT_EQ(parse_mount_options({"rbind", "rw", "ro", "nosuid", "dev", "rro", "rslave", "defaults"}),
            expected);
}

TEST(MountOptions, TheLastWordCounts) {
  EXPECT_EQ(parse_mount_options({"ro", "rw"}).attributes, (MountAttributes{0, MOUNT_ATTR_RDONLY}));
  EXPECT_EQ(parse_mount_options({"noatime", "strictatime"}).attributes,
            (MountAttributes{MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME}));
}

TEST(MountOptions, WhatNoMountKnowsIsForTheFileSystem) {
  MountOptions expected;
  expected.copy_up = true;
  expected.data = {{"mode", "755"}, {"newinstance", ""}, {"x", "a=b"}};
  EXPECT_EQ(parse_mount_options({"mode=755", "newinstance", "tmpcopyup", "x=a=b"}), expected);
}

TEST(MountOptions, PropagationIsOneWord) {
  EXPECT_EQ(parse_propagation("rshared"), std::pair(std::uint64_t{MS_SHARED}, true));
  EXPECT_EQ(parse_propagation("private"), std::pair(std::uint64_t{MS_PRIVATE}, false));
  EXPECT_EQ(parse_propagation("rro").first, 0U);
  EXPECT_EQ(parse_propagation("").first, 0U);
}

TEST(MountOptions, WhatIsNotCarriedOutIsRefused) {
  EXPECT_THROW(parse_mount_options({"idmap"}), Failure);
  EXPECT_THROW(parse_mount_options({"remount"}), Failure);
}

TEST(MountOptions, AllThatAreToldAreKnown) {
  const auto names = known_mount_options();
  EXPECT_THAT(names, Contains("rnosuid"));
  for (const std::string& name : names) EXPECT_TRUE(parse_mount_options({name}).data.empty()) << name;
}

}  // namespace
}  // namespace fdchain
