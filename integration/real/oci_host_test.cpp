// What is the host's, and no container's to change: names, kernel parameters and directories that it is
// shown.

#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/sys.h"
#include "integration/real/oci_beside.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::EndsWith;

oci::Namespace& space(oci::Config& config, const std::string& type) {
  return *std::ranges::find(config.linux_.namespaces, type, &oci::Namespace::type);
}

/// `sh -c SCRIPT DIRECTORY COMMAND…` in namespaces of its own.
Start within(const Words& unshared, const std::string& script, const std::string& directory, Start start) {
  Words around{"unshare"};
  around.insert(around.end(), unshared.begin(), unshared.end());
  around.insert(around.end(), {"sh", "-c", script, directory});
  start.argv.insert(start.argv.begin(), around.begin(), around.end());
  return start;
}

class OciOfTheHost : public OciBeside {
 protected:
  [[nodiscard]] Start ours() const { return runtime({"run", "-b", bundle(), "c"}); }
  [[nodiscard]] Start theirs_alone() const { return real({"run", "-b", bundle(), id()}); }
};

// A host name of the test's own, which stands for the host's.
TEST_P(OciOfTheHost, ANameStaysWithoutAUtsNamespaceOfTheContainers) {
  const std::string script =
      "echo kept > /proc/sys/kernel/domainname; hostname kept; \"$@\" 2>&1; "
      "uname -n; cat /proc/sys/kernel/domainname";
  for (const auto& [name, property] :
       {std::pair{"hostname", &oci::Config::hostname}, std::pair{"domainname", &oci::Config::domainname}}) {
    oci::Config wanted = config(shell("true"));
    wanted.hostname.clear();
    wanted.*property = "intruder";
    space(wanted, "uts").path = "/proc/self/ns/uts";
    write(wanted);
    const std::string refusal = std::string("runtime-shim: ") + name +
                                ": it would be the host's, without a uts namespace of the container's own\n"
                                "kept\nkept\n";
    EXPECT_EQ(run(within({"-u"}, script, "", ours())).out, refusal);
    std::erase_if(wanted.linux_.namespaces, [](const auto& each) { return each.type == "uts"; });
    write(wanted);
    EXPECT_EQ(run(within({"-u"}, script, "", ours())).out, refusal);
    EXPECT_THAT(run(within({"-u"}, script, "", theirs_alone())).out, EndsWith("kept\nkept\n"));
  }
}

constexpr const char* with_spaces =
    "touch $0/net $0/ipc $0/uts && unshare --net=$0/net --ipc=$0/ipc --uts=$0/uts true && exec \"$@\"";

// As podman has it with the network that it makes, and with every container of a pod.
TEST_P(OciOfTheHost, AParameterOfANamespaceByPathIsTheContainers) {
  oci::Config wanted =
      config(shell("cat /proc/sys/net/ipv4/ping_group_range /proc/sys/kernel/shmmni; hostname"));
  space(wanted, "network").path = file("net");
  space(wanted, "ipc").path = file("ipc");
  space(wanted, "uts").path = file("uts");
  wanted.linux_.sysctl = {{"net.ipv4.ping_group_range", "0 7"}, {"kernel.shmmni", "77"}};
  write(wanted);
  const Result ours = run(within({"-m"}, with_spaces, directory_.path(), this->ours()));
  EXPECT_EQ(ours.out, "0\t7\n77\nprobe\n") << ours.err;
  const Result theirs = run(within({"-m"}, with_spaces, directory_.path(), theirs_alone()));
  EXPECT_EQ(theirs.out, "0\t7\n77\nprobe\n") << theirs.err;
}

TEST_P(OciOfTheHost, AParameterOfANamespaceThatIsTheRuntimesStays) {
  oci::Config wanted = config(shell("true"));
  space(wanted, "network").path = "/proc/self/ns/net";
  wanted.linux_.sysctl = {{"net.ipv4.ip_forward", "1"}};
  write(wanted);
  const std::string script =
      "echo 0 > /proc/sys/net/ipv4/ip_forward; \"$@\" 2>&1; cat /proc/sys/net/ipv4/ip_forward";
  EXPECT_EQ(run(within({"-n"}, script, "", ours())).out,
            "runtime-shim: linux.sysctl: net.ipv4.ip_forward: it would be the host's, without a network "
            "namespace of the container's own\n0\n");
  if (GetParam().label == "runc") {
    EXPECT_THAT(run(within({"-n"}, script, "", theirs_alone())).out, EndsWith("\n0\n"));
  }
}

INSTANTIATE_TEST_SUITE_P(Against, OciOfTheHost, real_runtimes(), label_of_real);

class OciHostsDirectory : public OciTest {
 protected:
  /// The names that a container of `wanted` leaves in the directory `own`, sorted.
  Words left_in_own(const oci::Config& wanted) {
    fs::create_directories(file("own"));
    const Result result = run_container(wanted);
    EXPECT_EQ(result.out, "ran\n") << result.err;
    Words names;
    for (const auto& entry : fs::recursive_directory_iterator(file("own")))
      names.push_back(fs::relative(entry.path(), file("own")));
    std::ranges::sort(names);
    return names;
  }
  [[nodiscard]] oci::Config with_own_at(const std::string& destination,
                                        const std::vector<oci::Device>& devices) const {
    oci::Config wanted = config(shell("echo ran"));
    std::erase_if(wanted.mounts, [](const auto& each) { return each.destination.starts_with("/dev"); });
    wanted.mounts.push_back({destination, "bind", file("own"), {"rbind"}, false});
    wanted.linux_.devices = devices;
    return wanted;
  }
};

oci::Device null_at(const std::string& path) { return {"c", path, 1, 3, {}, {}, {}}; }

TEST_F(OciHostsDirectory, HasNoDevicesMadeInItWhateverLeadsThere) {
  fs::create_symlink("/dev", root() + "/xdev");
  fs::create_directories(file("own/sub"));
  EXPECT_EQ(
      left_in_own(with_own_at("/dev", {null_at("/dev/one"), null_at("//dev/two"), null_at("/xdev/three"),
                                       null_at("/dev/../dev/four"), null_at("/xdev/sub/five")})),
      Words{"sub"});
}

TEST_F(OciHostsDirectory, HasNoDevicesMadeInItWhereTheImagesDevLeadsThere) {
  fs::remove_all(root() + "/dev");
  fs::create_symlink("fdev", root() + "/dev");
  fs::create_directory(root() + "/fdev");
  EXPECT_EQ(left_in_own(with_own_at("/dev", {null_at("/dev/one")})), Words{});
  EXPECT_EQ(left_in_own(with_own_at("/fdev", {})), Words{});
}

TEST_F(OciHostsDirectory, HasNoDevicesMadeBelowItEither) {
  fs::remove_all(root() + "/dev");
  fs::create_symlink("volume/deep", root() + "/dev");
  fs::create_directories(file("own/deep"));
  EXPECT_EQ(left_in_own(with_own_at("/volume", {null_at("/dev/one")})), Words{"deep"});
}

TEST_F(OciHostsDirectory, MayHoldAFileSystemOfTheContainersOwnWithDevices) {
  oci::Config wanted = with_own_at("/volume", {null_at("/volume/dev/one")});
  wanted.process->args = shell("[ -c /volume/dev/one ] && echo ran");
  wanted.mounts.push_back({"/volume/dev", "tmpfs", "tmpfs", {}, false});
  EXPECT_EQ(left_in_own(wanted), Words{"dev"});
}

class OciDevices : public OciBeside {};

TEST_P(OciDevices, AreAsConfiguredWhereTheyAreDefaultOnesToo) {
  oci::Config wanted = config(shell("ls -ln /dev/full /dev/zero | awk '{print $1,$3,$4}'"));
  wanted.linux_.devices = {{"c", "/dev/full", 1, 7, 0600, 5, 6}};
  write(wanted);
  const std::string expected = "crw------- 5 6\ncrw-rw-rw- 0 0\n";
  EXPECT_EQ(run(runtime({"run", "-b", bundle(), "c"})).out, expected);
  EXPECT_EQ(theirs({"run", "-b", bundle(), id()}).out, expected);
}

INSTANTIATE_TEST_SUITE_P(Against, OciDevices, real_runtimes(), label_of_real);

class OciRaisedLimits : public OciBeside {
 protected:
  static constexpr uid_t first = 100000;

  [[nodiscard]] oci::Config in_user_namespace(const std::string& path, const Words& args) const {
    oci::Config wanted = config(args);
    wanted.linux_.namespaces.push_back({"user", path});
    if (path.empty()) {
      wanted.linux_.uid_mappings = {{0, first, 65536}};
      wanted.linux_.gid_mappings = {{0, first, 65536}};
    }
    return wanted;
  }
  void SetUp() override {
    fs::permissions(directory_.path(), fs::perms::all);
    check(::chown(root().c_str(), first, first), "chown");
    for (const auto& entry : fs::recursive_directory_iterator(root()))
      check(::lchown(entry.path().c_str(), first, first), "lchown");
  }
  // Whose own limit is lower than what is asked for.
  static Start with_low_limit(Start start, const Words& by = {}) {
    start.argv.insert(start.argv.begin(), by.begin(), by.end());
    start.argv.insert(start.argv.begin(), {"sh", "-c", "ulimit -n 2000; exec \"$@\"", "sh"});
    return start;
  }
};

constexpr const char* show_limits = "ulimit -Hn; cat /proc/self/oom_score_adj";

// Where nobody here may raise a limit, as in a container without CAP_SYS_RESOURCE, another one can be set
// still.
std::uint64_t limit_to_ask_for() {
  constexpr unsigned may_raise = 24;  // CAP_SYS_RESOURCE
  const std::string status = read_file("/proc/self/status");
  const auto effective = std::stoull(status.substr(status.find("CapEff:") + 7), nullptr, 16);
  return (effective >> may_raise & 1) != 0 ? 3000 : 1500;
}

TEST_P(OciRaisedLimits, AndTheScoreAreThoseOfWhatIsExecutedInAUserNamespaceToo) {
  write(in_user_namespace("", {"sleep", "100"}));
  succeed({"create", "-b", bundle(), "c"});
  EXPECT_EQ(theirs({"create", "-b", bundle(), id()}).status, WaitStatus::for_exit_code(0));
  const std::uint64_t limit = limit_to_ask_for();
  oci::Process process;
  process.args = shell(show_limits);
  process.env = {"PATH=/bin"};
  process.rlimits = {{"RLIMIT_NOFILE", limit, limit}};
  process.oom_score_adj = 77;
  std::ofstream(file("process.json")) << oci::encode(process);
  const Result ours = run(with_low_limit(runtime({"exec", "-p", file("process.json"), "c"})));
  EXPECT_EQ(ours.out, std::to_string(limit) + "\n77\n") << ours.err;
  // runc has the score of the container's own for it, and crun the caller's limits alone.
  if (GetParam().label == "runc") {
    const Result theirs = run(with_low_limit(real({"exec", "-p", file("process.json"), id()})));
    EXPECT_EQ(theirs.out, std::to_string(limit) + "\n0\n") << theirs.err;
  }
  succeed({"delete", "--force", "c"});
}

// However late the runtime is: one without CAP_SYS_RESOURCE cannot reach a process that is another user's.
TEST_P(OciRaisedLimits, AreLookedAtBeforeTheProcessChangesItsUser) {
  const Words slow{"strace", "-o", "/dev/null", "-e", "inject=prlimit64:delay_enter=300000"};
  oci::Config wanted = config(shell(show_limits));
  wanted.process->user.uid = wanted.process->user.gid = 1000;
  wanted.process->rlimits = {{"RLIMIT_NOFILE", 1500, 1500}};
  wanted.process->oom_score_adj = 77;
  write(wanted);
  const Words reduced{"setpriv", "--bounding-set", "-sys_resource"};
  Words by = reduced;
  by.insert(by.end(), slow.begin(), slow.end());
  const Result result = run(with_low_limit(runtime({"run", "-b", bundle(), "c"}), by));
  EXPECT_EQ(result.out, "1500\n77\n") << result.err;
  wanted.process->args = {"sleep", "100"};
  write(wanted);
  succeed({"create", "-b", bundle(), "c"});
  Words words{"exec", "c"};
  for (const std::string& word : shell(show_limits)) words.push_back(word);
  const Result executed = run(with_low_limit(runtime(words), by));
  EXPECT_EQ(executed.out, "1500\n77\n") << executed.err;
  succeed({"delete", "--force", "c"});
}

INSTANTIATE_TEST_SUITE_P(Against, OciRaisedLimits, real_runtimes(), label_of_real);

class OciScore : public OciTest {};

// Whoever enters namespaces that exist can be reached by no process there, and by no ordinary user either.
TEST_F(OciScore, IsThatOfWhatAnOrdinaryUserHasJoinTheContainerToo) {
  oci::Config wanted = config({"sleep", "100"});
  wanted.process->oom_score_adj = 77;
  write_for_ordinary_user(wanted);
  const Result created = run(runtime_of_ordinary_user({"create", "-b", bundle(), "c"}));
  EXPECT_EQ(created.status, WaitStatus::for_exit_code(0)) << created.err;
  const Words show_score{"cat", "/proc/self/oom_score_adj"};
  const Result executed = run(runtime_of_ordinary_user({"exec", "c", show_score.front(), show_score.back()}));
  EXPECT_EQ(executed.out, "77\n") << executed.err;
  const json::object state = json::parse(succeed({"state", "c"}).out).as_object();
  wanted.process->args = show_score;
  wanted.linux_.namespaces = {{"pid", ""},
                              {"mount", ""},
                              {"uts", ""},
                              {"user", "/proc/" + std::to_string(state.at("pid").as_int64()) + "/ns/user"}};
  std::erase_if(wanted.mounts, [](const auto& each) { return each.type == "sysfs"; });
  write(wanted);
  const Result beside = run(runtime_of_ordinary_user({"run", "-b", bundle(), "d"}));
  EXPECT_EQ(beside.out, "77\n") << beside.err;
  succeed({"delete", "--force", "c"});
}

}  // namespace
}  // namespace fdchain::test
