#include "fdchain/protocol/mountinfo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace fdchain {

void PrintTo(const MountInfo& mount, std::ostream* out) {
  *out << mount.id << ' ' << mount.parent << ' ' << mount.root << ' ' << mount.point << ' ' << mount.type;
}

namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;

TEST(Mountinfo, IsReadWithAnyNumberOfOptionalFields) {
  EXPECT_THAT(parse_mountinfo("66 49 254:0 /a /b rw,relatime - ext4 /dev/vda rw\n"
                              "67 66 0:40 / /proc rw shared:1 master:2 propagate_from:3 - proc - rw\n"),
              ElementsAre(MountInfo{66, 49, "/a", "/b", "ext4"}, MountInfo{67, 66, "/", "/proc", "proc"}));
}

TEST(Mountinfo, HasTheNamesAsTheyAre) {
  EXPECT_THAT(parse_mountinfo("1 2 0:1 /\\040 /a\\040b\\011c\\012d\\134e\\04 rw - fuse.x\\y s rw\n"),
              ElementsAre(MountInfo{1, 2, "/ ", "/a b\tc\nd\\e\\04", "fuse.x\\y"}));
}

TEST(Mountinfo, LeavesOutWhatIsNoMount) {
  EXPECT_THAT(parse_mountinfo("\nx\n1 2 0:1 / /p rw\n1 2 0:1 / /p rw -\n1 x 0:1 / /p rw - t s rw"),
              ElementsAre());
}

TEST(Mountinfo, AreOutsideOfATreeWithWhateverIsTheirParent) {
  const std::vector<MountInfo> mounts = parse_mountinfo(
      "1 1 0:1 / / rw - rootfs rootfs rw\n"
      "2 1 0:2 / /proc rw - proc proc rw\n"
      "3 2 0:3 / /proc/x rw - tmpfs t rw\n"
      "4 1 0:4 / / rw - tmpfs new rw\n"
      "5 4 0:5 / /proc rw - proc proc rw\n"
      "6 5 0:6 / /proc/y rw - tmpfs t rw\n"
      "7 99 0:7 / /elsewhere rw - tmpfs t rw\n");
  EXPECT_THAT(mounts_outside(4, mounts), ElementsAre(mounts[0], mounts[1], mounts[2], mounts[6]));
  EXPECT_THAT(mounts_outside(1, mounts), ElementsAre(mounts[6]));
  EXPECT_THAT(mounts_below(6, mounts), ElementsAre(6, 5, 4, 1));
  EXPECT_THAT(mounts_below(7, mounts), ElementsAre(7, 99));
  EXPECT_THAT(mounts_below(100, mounts), ElementsAre(100));
}

TEST(Mountinfo, OfThisProcessHasItsRoot) {
  std::stringstream text;
  text << std::ifstream("/proc/self/mountinfo").rdbuf();
  EXPECT_THAT(parse_mountinfo(text.str()), Contains(Field(&MountInfo::point, "/")));
}

}  // namespace
}  // namespace fdchain
