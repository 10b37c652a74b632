// The mounts of a container: what they do to its caller's, which is nothing, and which of them are refused.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fdchain/system/fd/sys.h"
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
                "exec 2>&1\n"
                // What others have mounted meanwhile goes when they remove the directory, here as well.
                "awk '$5 ~ /^.(tmp|var)./ {print $5}' /proc/self/mountinfo | while read -r m; do\n"
                "case $4/ in $m/*) ;; *) umount -l $m 2>/dev/null ;; esac; done\n"
                "mount --make-rshared / && mount --bind $1 $1 && mount --make-$2 $1 || exit\n"
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

class OciMounts : public OciTest {
 protected:
  OciMounts() { std::ofstream(file("content")) << "content\n"; }

  [[nodiscard]] oci::Mount content_at(const std::string& destination) const {
    return {destination, "bind", file("content"), {"bind"}, false};
  }

  /// What is said of a container with one mount more.
  std::string said_with(const oci::Mount& mount, const std::string& script = "true") {
    oci::Config wanted = config(shell(script));
    wanted.mounts.push_back(mount);
    const Result result = run_container(wanted);
    return result.out + result.err;
  }

  /// A container with a terminal that nobody looks at: the payload writes what it has to say to /out.
  Result run_with_terminal(oci::Config wanted) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    file("console").copy(address.sun_path, sizeof address.sun_path - 1);
    const OwnedFd listener(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    check(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
    check(::listen(listener.get(), 1), "listen");
    wanted.process->terminal = true;
    write(wanted);
    Result result = run(runtime({"run", "--console-socket", file("console"), "-b", bundle(), "c"}));
    if (fs::exists(root() + "/out")) result.out = read_file(root() + "/out");
    return result;
  }
};

TEST_F(OciMounts, ARelativeSourceIsTheBundles) {
  fs::create_directory(bundle() + "/data");
  std::ofstream(bundle() + "/data/file") << "data\n";
  oci::Config wanted = config(shell("cat /data/file /up /option/file"));
  wanted.mounts.push_back({"/data", "bind", "data", {"bind", "ro"}, false});
  wanted.mounts.push_back({"/up", "bind", "../content", {"bind"}, false});
  wanted.mounts.push_back({"/option", "none", "data", {"rbind"}, false});
  write(wanted);
  Start start = runtime({"run", "-b", bundle(), "c"});
  start.working_directory = "/";
  const Result result = run(start);
  EXPECT_EQ(result.out, "data\ncontent\ndata\n") << result.err;
}

TEST_F(OciMounts, WithoutASourceNothingIsBound) {
  EXPECT_EQ(said_with({"/mnt", "bind", "", {"bind"}, false}),
            "runtime-shim: mount /mnt: a bind mount without a source\n");
}

TEST_F(OciMounts, ALinkDoesNotMoveOneIntoProc) {
  fs::create_symlink("/proc/self", root() + "/link");
  EXPECT_EQ(said_with(content_at("/link/attr/exec")),
            "runtime-shim: mount /link/attr/exec: it is inside /proc\n");
}

TEST_F(OciMounts, OnTheRootItselfThereIsNone) {
  fs::create_symlink("..", root() + "/etc/top");
  for (const auto* const place : {"/", "/..", "/etc/top"})
    EXPECT_EQ(said_with({place, "tmpfs", "tmpfs", {}, false}),
              std::string("runtime-shim: mount ") + place + ": it would cover the root file system itself\n");
}

TEST_F(OciMounts, AFileIsNotMountedOnADirectory) {
  EXPECT_EQ(said_with(content_at("/tmp")), "runtime-shim: move_mount /tmp: Not a directory\n");
}

// Nor is it by a link of the image that somebody's directory becomes one with devices in it.
TEST_F(OciMounts, ADevThatIsBoundStaysAsItIs) {
  fs::create_symlink("/dev", root() + "/volume");
  fs::create_directories(file("own") + "/pts");
  std::ofstream(file("own") + "/ptmx") << "own\n";
  for (const auto* const destination : {"/dev", "/dev/", "dev", "//dev/.", "/volume"}) {
    oci::Config wanted = config(shell("[ -f /dev/ptmx ] && cat /dev/ptmx; ls /dev"));
    wanted.mounts[1] = {destination, "bind", file("own"), {"bind"}, false};
    wanted.linux_.devices = {{"c", "/dev/more", 1, 3, {}, {}, {}}, {"c", "/more", 1, 3, {}, {}, {}}};
    const Result result = run_container(wanted);
    EXPECT_EQ(result.out, "own\nptmx\npts\n") << destination << ' ' << result.err;
  }
  EXPECT_TRUE(fs::is_character_file(root() + "/more"));
}

TEST_F(OciMounts, ALinkInThePlaceOfTheConsoleIsRefused) {
  fs::create_directory(root() + "/target");
  fs::create_symlink("/target/victim", root() + "/dev/console");
  oci::Config wanted = config(shell("grep victim /proc/mounts > /out"));
  std::erase_if(wanted.mounts, [](const oci::Mount& mount) { return mount.destination == "/dev"; });
  const Result result = run_with_terminal(wanted);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err,
            "runtime-shim: /dev/console: a symbolic link of the image, where the terminal is to be shown\n");
  EXPECT_TRUE(fs::is_empty(root() + "/target"));
}

// Where the names of /dev/pts are somebody else's only the terminal that was made is the right one.
TEST_F(OciMounts, TheConsoleIsTheTerminalAndNotWhatHasItsName) {
  oci::Config wanted = config(shell("{ [ -c /dev/console ] && echo a terminal; cat /dev/pts/0; } > /out"));
  oci::Mount& devpts = wanted.mounts[2];
  ASSERT_EQ(devpts.destination, "/dev/pts");
  oci::Mount real = devpts;
  real.destination = "/dev/pts/pts";
  devpts = {"/dev/pts", "tmpfs", "tmpfs", {}, false};
  wanted.mounts.push_back(real);
  wanted.mounts.push_back({"/dev/pts/ptmx", "bind", root() + "/dev/pts/pts/ptmx", {"bind"}, false});
  wanted.mounts.push_back(content_at("/dev/pts/0"));
  const Result result = run_with_terminal(wanted);
  EXPECT_EQ(result.out, "a terminal\ncontent\n") << result.err;
}

TEST_F(OciMounts, AReadOnlyDevHasItsConsole) {
  oci::Config wanted =
      config(shell("{ [ -c /dev/console ] && echo a terminal; echo x > /dev/x; } > /out 2>&1"));
  wanted.mounts[1].options.emplace_back("ro");
  const Result result = run_with_terminal(wanted);
  EXPECT_EQ(result.out, "a terminal\n/bin/sh: can't create /dev/x: Read-only file system\n") << result.err;
}

TEST_F(OciMounts, InAUserNamespaceADeviceMustBeTheHosts) {
  constexpr uid_t user = 100000;
  fs::permissions(directory_.path(), fs::perms::all);
  oci::Config wanted = config(shell("true"));
  wanted.linux_.namespaces.push_back({"user", ""});
  wanted.linux_.uid_mappings = {{0, user, 1000}};
  wanted.linux_.gid_mappings = {{0, user, 1000}};
  for (const auto& entry : fs::recursive_directory_iterator(root()))
    check(::lchown(entry.path().c_str(), user, user), "lchown");
  for (const auto& [path, minor] :
       {std::pair{file("content"), 3U}, std::pair{std::string("/dev/zero"), 3U}}) {
    wanted.linux_.devices = {{"c", path, 1, minor, {}, {}, {}}};
    EXPECT_EQ(run_container(wanted).err,
              "runtime-shim: device " + path +
                  ": the host's is another, and in a user namespace none can be made\n");
  }
}

// They are for a user namespace alone.
TEST_F(OciMounts, TheHostsCgroupsAreNoSubstituteForNewOnes) {
  oci::Config wanted = config(shell("echo ran"));
  wanted.mounts = {{"/sys/fs/cgroup", "cgroup2", "cgroup", {}, false}};
  write(wanted);
  Start start = runtime({"run", "-b", bundle(), "c"});
  start.argv.insert(start.argv.begin(),
                    {"strace", "-f", "-o", "/dev/null", "-e", "inject=fsconfig:error=EPERM"});
  const Result result = run(start);
  EXPECT_EQ(result.err, "runtime-shim: mount /sys/fs/cgroup: Operation not permitted\n");
  EXPECT_EQ(result.out, "");
}

TEST_F(OciMounts, ARootThatALinkOfTheBundleLeadsOutToIsRefused) {
  fs::rename(root(), file("outside"));
  fs::create_directory_symlink("../outside", root());
  for (const std::string& path : {std::string("rootfs"), root()}) {
    oci::Config wanted = config(shell("true"));
    wanted.root.path = path;
    EXPECT_EQ(run_container(wanted).err, "runtime-shim: root.path: " + root() +
                                             ": a symbolic link leads out of the bundle, to " +
                                             file("outside") + '\n');
  }
  EXPECT_TRUE(fs::is_empty(file("outside") + "/dev"));
  // Said to be outside, it is meant so.
  oci::Config wanted = config(shell("echo meant"));
  wanted.root.path = "../outside";
  EXPECT_EQ(run_container(wanted).out, "meant\n");
}

}  // namespace
}  // namespace fdchain::test
