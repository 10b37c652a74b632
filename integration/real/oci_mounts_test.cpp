// What the mounts of a container do to its caller's: nothing.

#include <filesystem>

#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// How the mount that holds the root is propagated, what config.json wants, and the way into the root.
struct Propagation {
  std::string holder;
  std::string wanted;
  bool no_pivot = false;
};
void PrintTo(const Propagation& each, std::ostream* out) {
  *out << each.holder << ' ' << each.wanted << (each.no_pivot ? " --no-pivot" : "");
}

std::vector<Propagation> all_propagations() {
  std::vector<Propagation> all;
  for (const auto* const holder : {"private", "shared"}) {
    for (const auto* const wanted :
         {"", "shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable"}) {
      for (const bool no_pivot : {false, true}) all.push_back({holder, wanted, no_pivot});
    }
  }
  return all;
}

class OciPropagation : public OciTest, public ::testing::WithParamInterface<Propagation> {};

// In a mount namespace of the test's own, with everything shared as systemd has it.
TEST_P(OciPropagation, LeavesTheCallersMountsAsTheyWere) {
  oci::Config wanted = config(shell("echo inside; test -e " + file("host") + " || echo alone"));
  wanted.linux_.rootfs_propagation = GetParam().wanted;
  write(wanted);
  fs::create_directory(file("host"));
  Start start;
  start.argv = {"unshare",
                "-m",
                "--propagation",
                "private",
                "sh",
                "-c",
                "exec 2>&1; mount --make-rshared / && mount --bind $1 $1 && mount --make-$2 $1 || exit\n"
                // Another peer: it would hear of what is mounted, or unmounted, too.
                "mount --rbind / $5 && cat /proc/self/mountinfo > $4/before || exit\n"
                "$0 --root $3 run -b $1 $6 c; cat /proc/self/mountinfo > $4/after\n"
                "cmp $4/before $4/after && echo same",
                bin("runtime-shim"),
                bundle(),
                GetParam().holder,
                states(),
                directory_.path(),
                file("host"),
                GetParam().no_pivot ? "--no-pivot" : "--pid-file=" + file("pid")};
  EXPECT_EQ(run(start).out, "inside\nalone\nsame\n");
}

INSTANTIATE_TEST_SUITE_P(Every, OciPropagation, ::testing::ValuesIn(all_propagations()));

}  // namespace
}  // namespace fdchain::test
