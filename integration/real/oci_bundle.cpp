#include "integration/real/oci_bundle.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/rootfs.h"

namespace fdchain::test {

namespace fs = std::filesystem;

namespace {

constexpr uid_t ordinary_user = 1234;

}  // namespace

OciTest::OciTest() {
  fs::create_directories(bundle());
  fs::create_directories(states());
  make_rootfs(root(), true);
  for (const auto* const name : {"proc", "sys", "dev", "tmp", "etc", "run"})
    fs::create_directory(root() + '/' + name);
  for (const auto* const name :
       {"busybox", "env", "sort", "id", "grep", "awk", "hostname", "readlink", "ps", "tty"}) {
    if (!fs::exists(root() + "/bin/" + name)) fs::create_symlink("/bin/busybox", root() + "/bin/" + name);
  }
}

void OciTest::TearDown() {
  // podman's conmon removes containers when podman has left.
  ChainTest::TearDown();
  EXPECT_TRUE(fs::is_empty(states())) << "a container's directory is left";
}

oci::Config OciTest::config(Words args) const {
  oci::Config config;
  config.root = {"rootfs", false};
  oci::Process process;
  process.args = std::move(args);
  process.env = {"PATH=/bin"};
  config.process = process;
  config.hostname = "probe";
  config.mounts = {{"/proc", "proc", "proc", {}, false},
                   {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}, false},
                   {"/dev/pts",
                    "devpts",
                    "devpts",
                    {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"},
                    false},
                   {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}, false}};
  config.linux_.namespaces = {{"pid", ""}, {"network", ""}, {"ipc", ""}, {"uts", ""}, {"mount", ""}};
  return config;
}

void OciTest::write(const oci::Config& config) const { write_text(oci::encode(config)); }

void OciTest::write_text(const std::string& text) const { std::ofstream(bundle() + "/config.json") << text; }

Start OciTest::runtime(Words words) const {
  words.insert(words.begin(), {bin("runtime-shim"), "--root", states()});
  Start start;
  start.argv = std::move(words);
  return start;
}

Result OciTest::succeed(Words words) {
  const std::string shown = ::testing::PrintToString(words);
  Result result = run(runtime(std::move(words)));
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << shown << ": " << result.err;
  return result;
}

Result OciTest::run_container(const oci::Config& config) {
  write(config);
  return run(runtime({"run", "-b", bundle(), "c"}));
}

void OciTest::write_for_ordinary_user(oci::Config config) const {
  std::erase_if(config.mounts, [](const auto& each) { return each.type == "sysfs"; });
  config.linux_.namespaces.push_back({"user", ""});
  config.linux_.uid_mappings = {{0, ordinary_user, 1}};
  config.linux_.gid_mappings = {{0, ordinary_user, 1}};
  write(config);
  fs::permissions(directory_.path(), fs::perms::all);
  for (const auto& entry : fs::recursive_directory_iterator(directory_.path()))
    check(::lchown(entry.path().c_str(), ordinary_user, ordinary_user), "lchown");
}

Start OciTest::runtime_of_ordinary_user(Words words) const {
  Start start = runtime(std::move(words));
  const std::string user = std::to_string(ordinary_user);
  start.argv.insert(start.argv.begin(),
                    {"setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"});
  return start;
}

Start with_dev(const std::string& directory, Start start) {
  const Words around{
      "unshare",
      "-m",
      "sh",
      "-c",
      "for each in null zero full random urandom tty; do\n"
      "  touch $0/$each && mount --bind /dev/$each $0/$each || exit\n"
      "done\n"
      "mkdir -p $0/shm && mount --bind /dev/shm $0/shm && mount --rbind $0 /dev && exec \"$@\"",
      directory};
  start.argv.insert(start.argv.begin(), around.begin(), around.end());
  return start;
}

Words shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

}  // namespace fdchain::test
