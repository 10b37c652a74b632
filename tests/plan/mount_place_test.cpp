#include "fdchain/plan/mount_place.h"

#include <gtest/gtest.h>

namespace fdchain {
namespace {

constexpr std::string_view only_proc = "only a proc file system may be mounted on /proc";
constexpr std::string_view inside = "it is inside /proc";

TEST(MountPlace, OnProcOnlyProcIs) {
  EXPECT_EQ(mount_place_refusal("/proc", "proc", true), "");
  EXPECT_EQ(mount_place_refusal("/proc", "bind", true), "");
  for (const auto* const type : {"bind", "tmpfs", "sysfs", "overlay"})
    EXPECT_EQ(mount_place_refusal("/proc", type, false), only_proc) << type;
}

TEST(MountPlace, InProcAreTheFilesThatOthersPutThere) {
  for (const auto* const place :
       {"/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/slabinfo",
        "/proc/swaps", "/proc/uptime", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled"})
    EXPECT_EQ(mount_place_refusal(place, "bind", false), "") << place;
  for (const auto* const place : {"/proc/self/attr", "/proc/1/attr/exec", "/proc/keys", "/proc/cpuinfo/x",
                                  "/proc/sys", "/proc/net/dev", "/proc/"}) {
    for (const auto* const type : {"bind", "overlay", "ramfs"})
      EXPECT_EQ(mount_place_refusal(place, type, false), inside) << place;
    EXPECT_EQ(mount_place_refusal(place, "bind", true), inside) << place;
  }
}

TEST(MountPlace, InProcAnEmptyOrTheKernelsFileSystemMayHideSomething) {
  for (const auto* const type : {"cgroup", "cgroup2", "mqueue", "proc", "sysfs", "tmpfs"})
    EXPECT_EQ(mount_place_refusal("/proc/acpi", type, false), "") << type;
}

TEST(MountPlace, ElsewhereEverythingIsButNotOnTheRoot) {
  for (const auto* const place : {"/procx", "/a/proc", "/sys", "/dev"})
    EXPECT_EQ(mount_place_refusal(place, "bind", false), "") << place;
  EXPECT_EQ(mount_place_refusal("/", "bind", false), "it would cover the root file system itself");
}

}  // namespace
}  // namespace fdchain
