// config.json: what is written can be read, what is wrong is named, what is unknown is passed over.

#include "fdchain/protocol/oci_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fdchain/model/failure.h"

namespace fdchain::oci {
namespace {

using ::testing::ElementsAre;

Config full() {
  Config config;
  config.root = {"rootfs", true};
  Process process;
  process.terminal = true;
  process.console_size = ConsoleSize{24, 80};
  process.user = {1000, 100, 0027, {5, 6}};
  process.args = {"sh", "-c", "echo \"ü\""};
  process.env = {"PATH=/bin", "EMPTY="};
  process.cwd = "/tmp";
  process.capabilities = Capabilities{{"CAP_KILL"}, {"CAP_KILL"}, {}, {"CAP_KILL"}, {}};
  process.rlimits = {{"RLIMIT_CORE", 0, 18446744073709551615ULL}};
  process.no_new_privileges = true;
  process.oom_score_adj = -5;
  process.apparmor_profile = "a";
  process.selinux_label = "b";
  config.process = process;
  config.hostname = "host";
  config.domainname = "domain";
  config.mounts = {{"/proc", "proc", "proc", {"nosuid"}, false},
                   {"/data", "bind", "/srv", {"rbind", "ro"}, false}};
  const Hook hook{"/bin/hook", {"hook", "x"}, {{"A=b"}}, 3};
  config.hooks = {{hook}, {hook}, {hook}, {hook}, {hook}, {hook, hook}};
  config.annotations = {{"a.b", "c"}};
  Linux& linux_ = config.linux_;
  linux_.namespaces = {{"pid", ""}, {"network", "/run/netns/x"}};
  linux_.uid_mappings = {{0, 100000, 65536}};
  linux_.gid_mappings = {{0, 200000, 65536}};
  linux_.devices = {{"c", "/dev/fuse", 10, 229, 0666, 0, 0}, {"p", "/dev/fifo", 0, 0, 0600, 1, 2}};
  linux_.sysctl = {{"net.ipv4.ip_forward", "1"}};
  linux_.rootfs_propagation = "rslave";
  linux_.masked_paths = {"/proc/kcore"};
  linux_.readonly_paths = {"/proc/sys"};
  linux_.cgroups_path = "/x";
  linux_.mount_label = "l";
  return config;
}

TEST(OciConfig, WhatIsWrittenIsRead) {
  EXPECT_EQ(decode_config(encode(full()), "config.json"), full());
  Config least;
  least.root.path = "/r";
  EXPECT_EQ(decode_config(encode(least), "config.json"), least);
  EXPECT_EQ(decode_process(encode(*full().process), "p"), *full().process);
}

TEST(OciConfig, WhatIsUnknownOrNullIsPassedOver) {
  const Config config = decode_config(
      R"({"ociVersion":"1.9.0-dev","root":{"path":"r","new":1},"process":{"args":["x"],"cwd":"/","future":{},
          "env":null,"rlimits":null,"user":{"uid":18.0,"username":"x"}},"windows":{},"linux":{"later":[1]}})",
      "config.json");
  Config expected;
  expected.oci_version = "1.9.0-dev";
  expected.root.path = "r";
  expected.process = Process{};
  expected.process->args = {"x"};
  expected.process->user.uid = 18;
  EXPECT_EQ(config, expected);
}

TEST(OciConfig, ARelativeDestinationStartsFromTheRoot) {
  const Config config = decode_config(
      R"({"ociVersion":"1.0.2","root":{"path":"r"},"mounts":[{"destination":"a/b"},{"destination":"/c"}]})",
      "config.json");
  EXPECT_THAT(config.mounts, ElementsAre(Mount{"/a/b", "", "", {}, false}, Mount{"/c", "", "", {}, false}));
}

TEST(OciConfig, LimitsAreSeenAndEmptyOnesAreNone) {
  const Config config = decode_config(
      R"({"ociVersion":"1.0.2","root":{"path":"r"},"linux":{"resources":{"devices":[{"allow":false}],
          "memory":{"limit":1000,"swap":null},"cpu":{},"pids":{"limit":2048},"hugepageLimits":[],
          "unified":{"cpu.weight":"5"}},"seccomp":{"defaultAction":"A"},"intelRdt":{"closID":"x"}}})",
      "config.json");
  EXPECT_THAT(config.linux_.resources, ElementsAre("memory.limit", "pids.limit", "unified.cpu.weight"));
  EXPECT_TRUE(config.linux_.device_rules);
  EXPECT_TRUE(config.linux_.seccomp);
  EXPECT_THAT(config.linux_.unsupported, ElementsAre("intelRdt"));
}

TEST(OciConfig, AFileModeMayCarryTheTypeOfTheFile) {
  // As podman writes it for --device and --privileged: 0o20644.
  const Config config = decode_config(
      R"({"ociVersion":"1.0.2","root":{"path":"r"},"linux":{"devices":[
          {"type":"c","path":"/dev/x","major":1,"minor":3,"fileMode":8612,"uid":0,"gid":4294967294}]}})",
      "config.json");
  ASSERT_EQ(config.linux_.devices.size(), 1U);
  EXPECT_EQ(config.linux_.devices[0], (Device{"c", "/dev/x", 1, 3, 0644, 0, 4294967294}));
}

TEST(OciConfig, AHookWithAnEmptyEnvironmentIsNotOneWithout) {
  const Config config = decode_config(
      R"({"ociVersion":"1.0.2","root":{"path":"r"},"hooks":{"prestart":[{"path":"/a","env":[]},{"path":"/b"}]}})",
      "config.json");
  ASSERT_EQ(config.hooks.prestart.size(), 2U);
  EXPECT_EQ(config.hooks.prestart[0].env, std::vector<std::string>{});
  EXPECT_EQ(config.hooks.prestart[1].env, std::nullopt);
  EXPECT_EQ(decode_config(encode(config), "config.json"), config);
}

struct Bad {
  const char* label;
  const char* text;
  const char* message;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.label; }

class OciConfigRefuses : public ::testing::TestWithParam<Bad> {};

TEST_P(OciConfigRefuses, NamingTheProperty) {
  try {
    decode_config(GetParam().text, "config.json");
    FAIL() << "accepted";
  } catch (const Failure& failure) {
    EXPECT_STREQ(failure.what(), GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OciConfigRefuses,
    ::testing::Values(
        Bad{"empty", "", "config.json: not JSON: incomplete JSON"},
        Bad{"text", "hello", "config.json: not JSON: syntax error"},
        Bad{"array", "[]", "config.json: not an object"},
        Bad{"no_version", "{}", "config.json: ociVersion: missing"},
        Bad{"future", R"({"ociVersion":"2.0.0","root":{"path":"r"}})",
            "config.json: ociVersion: 2.0.0: this runtime knows version 1, up to 1.0.2"},
        Bad{"past", R"({"ociVersion":"0.9","root":{"path":"r"}})",
            "config.json: ociVersion: 0.9: this runtime knows version 1, up to 1.0.2"},
        Bad{"no_root", R"({"ociVersion":"1.0.2"})", "config.json: root: missing"},
        Bad{"args_text", R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":"sh","cwd":"/"}})",
            "config.json: process.args: not an array"},
        Bad{"args_empty", R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":[],"cwd":"/"}})",
            "config.json: process.args: empty: there is nothing to run"},
        Bad{"args_number",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a",1],"cwd":"/"}})",
            "config.json: process.args[1]: not a string"},
        Bad{"nul", R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a\u0000b"],"cwd":"/"}})",
            "config.json: process.args[0]: a string with a NUL in it"},
        Bad{"cwd", R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a"],"cwd":"x"}})",
            "config.json: process.cwd: not an absolute path"},
        Bad{"uid",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a"],"cwd":"/","user":{"uid":-1}}})",
            "config.json: process.user.uid: -1: uids and gids must be in range 0-2147483647"},
        Bad{"uid_unchanged",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a"],"cwd":"/","user":{"uid":4294967295}}})",
            "config.json: process.user.uid: 4294967295: uids and gids must be in range 0-2147483647"},
        Bad{"gid",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a"],"cwd":"/","user":{"gid":2147483648}}})",
            "config.json: process.user.gid: 2147483648: uids and gids must be in range 0-2147483647"},
        Bad{"group",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a"],"cwd":"/","user":{"additionalGids":[1,4294967295]}}})",
            "config.json: process.user.additionalGids[1]: 4294967295: uids and gids must be in range "
            "0-2147483647"},
        Bad{"umask",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a"],"cwd":"/","user":{"umask":512}}})",
            "config.json: process.user.umask: out of range"},
        Bad{"mapping",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"linux":{"uidMappings":[{"containerID":0,"hostID":4294967295,"size":1}]}})",
            "config.json: linux.uidMappings[0].hostID: out of range"},
        Bad{"mapping_of_nobody",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"linux":{"gidMappings":[{"containerID":0,"hostID":0,"size":0}]}})",
            "config.json: linux.gidMappings[0].size: out of range"},
        Bad{"device_owner",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"linux":{"devices":[{"type":"c","path":"/x","uid":4294967295}]}})",
            "config.json: linux.devices[0].uid: out of range"},
        Bad{"variable",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a"],"cwd":"/","env":["A=b","noequals"]}})",
            "config.json: process.env[1]: noequals: not NAME=VALUE"},
        Bad{"nameless_variable",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a"],"cwd":"/","env":["=x"]}})",
            "config.json: process.env[0]: =x: not NAME=VALUE"},
        Bad{"hostname", R"({"ociVersion":"1.0.2","root":{"path":"r"},"hostname":"a\nb"})",
            "config.json: hostname: a\\x0ab: a control character in it"},
        Bad{"domainname",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"domainname":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})",
            "config.json: domainname: longer than 64 bytes"},
        Bad{"half",
            R"({"ociVersion":"1.0.2","root":{"path":"r"},"process":{"args":["a"],"cwd":"/","user":{"uid":1.5}}})",
            "config.json: process.user.uid: not a whole number"},
        Bad{"flag", R"({"ociVersion":"1.0.2","root":{"path":"r","readonly":"yes"}})",
            "config.json: root.readonly: neither true nor false"},
        Bad{"mount", R"({"ociVersion":"1.0.2","root":{"path":"r"},"mounts":[{"type":"proc"}]})",
            "config.json: mounts[0].destination: missing"},
        Bad{"hook", R"({"ociVersion":"1.0.2","root":{"path":"r"},"hooks":{"poststop":[{"path":"h"}]}})",
            "config.json: hooks.poststop[0].path: not an absolute path"}),
    [](const auto& param_info) { return param_info.param.label; });

}  // namespace
}  // namespace fdchain::oci
