#include "fdchain/plan/mount_place.h"

#include <algorithm>
#include <array>

namespace fdchain {
namespace {

// What lxcfs and CRIU put there. runc's list.
constexpr std::array<std::string_view, 10> replaceable{"/proc/cpuinfo", "/proc/diskstats",
                                                       "/proc/loadavg", "/proc/meminfo",
                                                       "/proc/stat",    "/proc/slabinfo",
                                                       "/proc/swaps",   "/proc/sys/kernel/ns_last_pid",
                                                       "/proc/uptime",  "/proc/sys/crypto/fips_enabled"};

// These hide and say nothing false: what they show is empty, or the kernel's. runc 1.1 and crun allow them.
constexpr std::array<std::string_view, 6> of_the_kernel{"cgroup", "cgroup2", "mqueue",
                                                        "proc",   "sysfs",   "tmpfs"};

bool contains(const auto& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

std::string_view mount_place_refusal(std::string_view place, std::string_view type, bool shows_proc) {
  if (place == "/") return "it would cover the root file system itself";
  if (place == "/proc") return shows_proc ? "" : "only a proc file system may be mounted on /proc";
  if (!place.starts_with("/proc/") || contains(of_the_kernel, type) || contains(replaceable, place))
    return "";
  return "it is inside /proc";
}

}  // namespace fdchain
