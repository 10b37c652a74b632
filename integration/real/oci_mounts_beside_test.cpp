// The mounts of a container beside those that crun and runc make of the same bundle.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "fdchain/system/fd/sys.h"
#include "integration/real/monitored.h"
#include "integration/real/oci_beside.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;

class OciMountsBeside : public OciBeside {
 protected:
  OciMountsBeside() {
    std::ofstream(file("content")) << "content\n";
    fs::create_directory(root() + "/mnt");
  }

  /// The root's users are those of the user namespace, which `wanted` has afterwards.
  void give_user_namespace(oci::Config& wanted) const {
    constexpr uid_t first = 100000;
    fs::permissions(directory_.path(), fs::perms::all);
    wanted.linux_.namespaces.push_back({"user", ""});
    wanted.linux_.uid_mappings = {{0, first, 65536}};
    wanted.linux_.gid_mappings = {{0, first, 65536}};
    check(::chown(root().c_str(), first, first), "chown");
    for (const auto& entry : fs::recursive_directory_iterator(root()))
      check(::lchown(entry.path().c_str(), first, first), "lchown");
  }

  /// What the payload says with each runtime; `clean` comes between the two.
  void expect_same(
      const std::string& said, const Words& options = {}, const std::function<void()>& clean = [] {}) {
    Words words{"run"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"-b", bundle()});
    Words for_ours = words;
    for_ours.emplace_back("c");
    Start ours = runtime(for_ours);
    ours.argv = with_cgroup2(ours.argv);
    const Result our_result = run(ours);
    EXPECT_EQ(our_result.out, said) << our_result.err;
    clean();
    words.push_back(id());
    Start theirs = real(words);
    if (GetParam().label == "runc") theirs.argv = with_cgroup2(theirs.argv);
    const Result their_result = run(theirs);
    EXPECT_EQ(their_result.out, said) << their_result.err;
    EXPECT_EQ(our_result.status, their_result.status) << our_result.err << their_result.err;
  }
};

// An ordinary user of the container, who makes a user namespace in it: where a whole proc or sysfs is to be
// had in his mount namespace, and be it out of sight, the kernel gives him another.
constexpr const char* wants_proc_and_sysfs =
    "busybox unshare -Umrpf sh -c 'busybox mount -t proc proc /mnt' 2>/dev/null && echo proc\n"
    "busybox unshare -Umrn sh -c 'busybox mount -t sysfs -o ro sysfs /mnt' 2>/dev/null && echo sysfs\n"
    "echo done";

oci::Config masked(oci::Config wanted) {
  wanted.process->user = {1000, 1000, {}, {}};
  wanted.process->capabilities = oci::Capabilities{};
  wanted.linux_.masked_paths = {"/proc/keys", "/sys/firmware"};
  return wanted;
}

class OciNoMasklessProc : public OciMountsBeside {};

TEST_P(OciNoMasklessProc, IsToBeHadWhicheverWayIntoTheRoot) {
  write(masked(config(shell(wants_proc_and_sysfs))));
  expect_same("done\n");
  expect_same("done\n", {"--no-pivot"});
}

TEST_P(OciNoMasklessProc, IsToBeHadWhereTheHostsCannotBeDetached) {
  oci::Config wanted = masked(config(shell(wants_proc_and_sysfs)));
  give_user_namespace(wanted);
  write(wanted);
  expect_same("done\n");
  expect_same("done\n", {"--no-pivot"});
}

// Otherwise the tests above say nothing.
TEST_P(OciNoMasklessProc, ButOneLikeTheContainersOwn) {
  oci::Config wanted = masked(config(shell(wants_proc_and_sysfs)));
  wanted.linux_.masked_paths.clear();
  write(wanted);
  expect_same("proc\nsysfs\ndone\n");
  expect_same("proc\nsysfs\ndone\n", {"--no-pivot"});
}

INSTANTIATE_TEST_SUITE_P(Against, OciNoMasklessProc, real_runtimes(), label_of_real);

class OciHiddenProc : public OciTest {};

// Out of sight for whoever looks for them by path, and not for the kernel.
TEST_F(OciHiddenProc, IsDetachedWithWhatHidesIt) {
  fs::create_directory(root() + "/mnt");
  write(masked(config(shell(wants_proc_and_sysfs))));
  fs::create_directories(file("under/deep"));
  Start start = runtime({"run", "--no-pivot", "-b", bundle(), "c"});
  const Words around{"unshare",
                     "-m",
                     "sh",
                     "-c",
                     "mount -t proc proc $0/under/deep && mount -t sysfs sysfs $0/under/deep && "
                     "mount -t tmpfs tmpfs $0/under && mount -t tmpfs tmpfs /proc/sys && exec \"$@\"",
                     directory_.path()};
  start.argv.insert(start.argv.begin(), around.begin(), around.end());
  const Result result = run(start);
  EXPECT_EQ(result.out, "done\n") << result.err;
}

TEST_P(OciMountsBeside, ALinkToNothingLeadsAFileWhereItPoints) {
  fs::create_symlink("../run/resolve/stub", root() + "/etc/file");
  fs::create_symlink("../../.." + file("outside"), root() + "/etc/up");
  oci::Config wanted =
      config(shell("cat /run/resolve/stub /etc/file " + file("outside") + "; busybox readlink /etc/file"));
  wanted.mounts.push_back({"/etc/file", "bind", file("content"), {"rbind", "ro"}, false});
  wanted.mounts.push_back({"/etc/up", "bind", file("content"), {"bind"}, false});
  write(wanted);
  const auto clean = [&] {
    EXPECT_FALSE(fs::exists(file("outside")));
    fs::remove_all(root() + "/run/resolve");
    fs::remove_all(root() + "/tmp");
    fs::create_directory(root() + "/tmp");
  };
  expect_same("content\ncontent\ncontent\n../run/resolve/stub\n", {}, clean);
}

TEST_P(OciMountsBeside, TheHostsCgroupsAreShownWhereNewOnesAreRefused) {
  oci::Config wanted = config(shell("awk '$5 ~ /cgroup/ {print $4,$5,$6,$8}' /proc/self/mountinfo"));
  give_user_namespace(wanted);
  wanted.mounts.push_back(
      {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}, false});
  write(wanted);
  expect_same("/ /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime cgroup2\n");
}

TEST_P(OciMountsBeside, AReadOnlyFileSystemHasEverythingInIt) {
  oci::Config wanted =
      config(shell("awk '$5 ~ /^.dev|^.mnt/ {print $5,$6}' /proc/self/mountinfo; ls /dev | grep -v core; "
                   "cat /mnt/deep/content; (echo > /dev/x) 2>&1; (echo > /mnt/x) 2>&1"));
  wanted.mounts[1].options.emplace_back("ro");
  wanted.mounts.push_back({"/mnt", "tmpfs", "tmpfs", {"ro"}, false});
  wanted.mounts.push_back({"/mnt/deep/content", "bind", file("content"), {"bind"}, false});
  write(wanted);
  expect_same(
      "/dev ro,nosuid\n/dev/pts rw,nosuid,noexec,relatime\n/mnt ro,relatime\n/mnt/deep/content rw,relatime\n"
      "fd\nfull\nnull\nptmx\npts\nrandom\nstderr\nstdin\nstdout\ntty\nurandom\nzero\ncontent\n"
      "/bin/sh: can't create /dev/x: Read-only file system\n"
      "/bin/sh: can't create /mnt/x: Read-only file system\n");
}

TEST_P(OciMountsBeside, ARelativePathIsTheBundlesOrTheRoots) {
  fs::create_directory(bundle() + "/data");
  std::ofstream(bundle() + "/data/file") << "data\n";
  oci::Config wanted = config(shell("cat /mnt/file /mnt/file2"));
  wanted.mounts.push_back({"mnt", "bind", "data", {"bind"}, false});
  wanted.mounts.push_back({"/mnt/file2", "bind", "../content", {"bind"}, false});
  write(wanted);
  expect_same("data\ncontent\n");
}

TEST_P(OciMountsBeside, ASourceInTheRootIsWhatTheMountsBeforeHaveMadeOfIt) {
  for (const auto* const name : {"a", "b"}) {
    fs::create_directories(file(name) + "/x");
    std::ofstream(file(name) + "/x/file") << name << '\n';
  }
  oci::Config wanted = config(shell("cat /final/x/file /final/x/x/file"));
  wanted.mounts.push_back({"/mnt", "bind", file("a"), {"rbind", "rprivate"}, false});
  wanted.mounts.push_back({"/mnt/x", "bind", file("b") + "/x", {"rbind", "rprivate"}, false});
  fs::create_directory(file("b") + "/x/x");
  wanted.mounts.push_back({"/mnt/x/x", "bind", root() + "/mnt/x", {"rbind", "rprivate"}, false});
  wanted.mounts.push_back({"/final", "bind", root() + "/mnt", {"rbind", "rprivate"}, false});
  write(wanted);
  expect_same("b\nb\n");
}

TEST_P(OciMountsBeside, AParameterWithAPropertyOfItsOwnIsRefused) {
  oci::Config wanted = config(shell("cat /proc/sys/kernel/domainname"));
  wanted.linux_.sysctl = {{"kernel.domainname", "d"}};
  write(wanted);
  expect_same("d\n");
  wanted.linux_.sysctl = {{"kernel.hostname", "h"}};
  write(wanted);
  expect_same("");
}

INSTANTIATE_TEST_SUITE_P(Against, OciMountsBeside, real_runtimes(), label_of_real);

/// A mount in /proc.
struct InProc {
  std::string destination;
  std::string type;
  bool refused = true;
};

// What crun 1.8 does in another way: it makes no directory for a link, and refuses nothing in /proc.
class OciMountsBesideRunc : public OciMountsBeside {};

TEST_P(OciMountsBesideRunc, ALinkToNothingLeadsADirectoryWhereItPoints) {
  fs::create_symlink("/var/deep", root() + "/etc/directory");
  oci::Config wanted = config(shell("cat /var/deep/sub/content; ls /var/deep"));
  wanted.mounts.push_back({"/etc/directory", "tmpfs", "tmpfs", {}, false});
  wanted.mounts.push_back({"/etc/directory/sub/content", "bind", file("content"), {"bind"}, false});
  write(wanted);
  expect_same("content\nsub\n", {}, [&] { fs::remove_all(root() + "/var"); });
}

TEST_P(OciMountsBesideRunc, AreRefusedInProc) {
  fs::create_directory(file("directory"));
  for (const auto& [destination, type, refused] :
       {InProc{"/proc/self/attr", "bind-directory"}, InProc{"/proc", "bind-directory"},
        InProc{"/proc/keys", "bind"}, InProc{"/proc/version", "bind"}, InProc{"/proc/acpi", "ramfs"},
        InProc{"/proc", "tmpfs"}, InProc{"/proc/cpuinfo", "bind", false},
        InProc{"/proc/uptime", "bind", false}, InProc{"/proc/sys/kernel/ns_last_pid", "bind", false},
        InProc{"/proc/acpi", "tmpfs", false}}) {
    oci::Config wanted = config(shell("echo ran"));
    if (type.starts_with("bind")) {
      wanted.mounts.push_back(
          {destination, "bind", file(type == "bind" ? "content" : "directory"), {"bind"}, false});
    } else {
      wanted.mounts.push_back({destination, type, type, {}, false});
    }
    write(wanted);
    SCOPED_TRACE(type + " on " + destination);
    expect_same(refused ? "" : "ran\n");
  }
}

INSTANTIATE_TEST_SUITE_P(Against, OciMountsBesideRunc, ::testing::Values(real_runc()), label_of_real);

}  // namespace
}  // namespace fdchain::test
