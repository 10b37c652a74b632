// The calls about containers that there are, when something else goes on with them, and what creation passes
// on.

#include <sys/file.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "integration/harness/wait_until.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class OciManage : public OciTest {
 protected:
  void create(const std::string& id, const std::string& script) {
    write(config(shell(script)));
    succeed({"create", "-b", bundle(), id});
  }
  std::string status(const std::string& id) {
    return json::parse(succeed({"state", id}).out).at("status").as_string().c_str();
  }
};

// Whether the kernel says that `pid` waits for a lock.
bool is_locked_out(pid_t pid) {
  const std::string waits = "FLOCK  ADVISORY  WRITE " + std::to_string(pid) + ' ';
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    if (line.find("->") != std::string::npos && line.find(waits) != std::string::npos) return true;
  }
  return false;
}

TEST_F(OciManage, WhoHasWaitedForALockDoesNotTakeAnotherContainerForIt) {
  create("c", "exec sleep 1000");
  create("other", "exec sleep 1000");
  for (const Words& words : {Words{"delete", "--force", "c"}, Words{"delete", "c"}, Words{"start", "c"}}) {
    const std::string path = states() + "/c";
    const OwnedFd held(check(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open"));
    check(::flock(held.get(), LOCK_EX), "flock");
    Program late(runtime(words));
    wait_until("a wait for the lock", [&] { return is_locked_out(late.pid()); });
    // Deleted meanwhile, and another one made.
    fs::rename(path, file("gone"));
    fs::rename(states() + "/other", path);
    check(::flock(held.get(), LOCK_UN), "flock");
    const Result result = late.finish();
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(words.size() == 3 ? 0 : 1)) << words[0] << result.err;
    EXPECT_EQ(result.err, words.size() == 3 ? "" : "runtime-shim: container c: it has been deleted\n");
    EXPECT_EQ(status("c"), "created") << words[0];
    fs::rename(path, states() + "/other");
    fs::rename(file("gone"), path);
    EXPECT_EQ(status("c"), "created") << words[0];
  }
  succeed({"delete", "c"});
  succeed({"delete", "other"});
}

TEST_F(OciManage, AContainerInTheForegroundCanBeDeletedByForce) {
  check(::mkfifo((root() + "/up").c_str(), 0600), "mkfifo");
  write(config(shell("echo up > /up; exec sleep 1000")));
  Program foreground(runtime({"run", "-b", bundle(), "c"}));
  EXPECT_EQ(read_file(root() + "/up"), "up\n");
  succeed({"delete", "--force", "c"});
  EXPECT_EQ(foreground.finish().status, WaitStatus::for_exit_code(137));
}

TEST_F(OciManage, AListShowsTheOthersWhenOneCannotBeRead) {
  create("c", "exec sleep 1000");
  fs::create_directory(states() + "/broken");
  std::ofstream(states() + "/broken/state.json") << "{";
  fs::create_directory(states() + "/half");
  const Result result = succeed({"list", "-q"});
  EXPECT_EQ(result.out, "c\n");
  EXPECT_THAT(result.err, MatchesRegex("runtime-shim: warning: container broken: not listed: [^\n]*\n"));
  fs::remove_all(states() + "/broken");
  fs::remove_all(states() + "/half");
  succeed({"delete", "c"});
}

TEST_F(OciManage, KillOfAllSaysWhenOnlyOneCanBeMeant) {
  oci::Config wanted = config(shell("exec sleep 1000"));
  std::erase_if(wanted.linux_.namespaces, [](const auto& each) { return each.type == "pid"; });
  write(wanted);
  succeed({"create", "-b", bundle(), "c"});
  succeed({"start", "c"});
  EXPECT_EQ(
      succeed({"kill", "--all", "c", "9"}).err,
      "runtime-shim: warning: kill --all: container c has no pid namespace of its own; its first process "
      "alone is meant\n");
  expect_nobody_left();
  succeed({"delete", "c"});
}

TEST_F(OciManage, KillOfAllReachesEveryProcess) {
  check(::mkfifo((root() + "/up").c_str(), 0600), "mkfifo");
  create("c",
         "trap '' USR1; for n in 1 2 3; do sh -c 'exec sleep 1000' & done; echo up > /up; "
         "wait; echo all > /gone; exec sleep 1000");
  check(::mkfifo((root() + "/gone").c_str(), 0600), "mkfifo");
  succeed({"start", "c"});
  EXPECT_EQ(read_file(root() + "/up"), "up\n");
  // Children of a shell that ignores it ignore it as well; TERM ends them, and process 1 does not mind.
  succeed({"kill", "--all", "c", "TERM"});
  EXPECT_EQ(read_file(root() + "/gone"), "all\n");
  succeed({"delete", "--force", "c"});
}

TEST_F(OciManage, AGuardedPathThatCannotBeLookedAtEndsTheCreation) {
  fs::create_symlink("/loop", root() + "/loop");
  oci::Config wanted = config(shell("true"));
  wanted.linux_.masked_paths = {"/loop"};
  EXPECT_EQ(run_container(wanted).err,
            "runtime-shim: linux.maskedPaths /loop: Too many levels of symbolic links\n");
  std::swap(wanted.linux_.masked_paths, wanted.linux_.readonly_paths);
  EXPECT_EQ(run_container(wanted).err,
            "runtime-shim: linux.readonlyPaths /loop: Too many levels of symbolic links\n");
}

TEST_F(OciManage, HooksOnBothSidesGetTheWholeState) {
  oci::Config wanted = config(shell("true"));
  wanted.annotations = {{"long", std::string(150'000, 'x')}};
  const auto to = [&](const std::string& name) {
    return std::vector<oci::Hook>{
        {"/bin/sh", {"sh", "-c", "cat > " + file(name)}, {{"PATH=/bin:/usr/bin"}}, {}}};
  };
  wanted.hooks.create_runtime = to("outside");
  wanted.hooks.create_container = to("inside");
  EXPECT_EQ(run_container(wanted).status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(read_file(file("inside")), read_file(file("outside")));
  EXPECT_GT(read_file(file("inside")).size(), 150'000U);
}

TEST_F(OciManage, ASecondRoundOfProtectionIsTheLast) {
  write(config(shell("true")));
  Start start = runtime({"run", "-b", bundle(), "c"});
  start.argv.insert(start.argv.begin(), {"bash", "-c", "exec -a runtime-shim:protected \"$0\" \"$@\""});
  EXPECT_EQ(run(start).err,
            "runtime-shim: this program can be written to by the container, though executed from where it "
            "should not\n");
}

TEST_F(OciManage, ExecTakesNothingBesideItsFile) {
  create("c", "exec sleep 1000");
  succeed({"start", "c"});
  oci::Process process;
  process.args = shell("true");
  process.env = {"PATH=/bin"};
  std::ofstream(file("process.json")) << oci::encode(process);
  for (const Words& more : {Words{"--env", "A=b"}, Words{"--cwd", "/tmp"}, Words{"--user", "1"}}) {
    Words words{"exec", "--process", file("process.json")};
    words.insert(words.end(), more.begin(), more.end());
    words.emplace_back("c");
    EXPECT_THAT(run(runtime(words)).err, MatchesRegex("runtime-shim: exec: --process takes neither .*\n"));
  }
  EXPECT_THAT(run(runtime({"exec", "--process", file("process.json"), "c", "sh"})).err,
              MatchesRegex("runtime-shim: exec: --process takes neither .*\n"));
  process.apparmor_profile = "x";
  std::ofstream(file("process.json")) << oci::encode(process);
  EXPECT_EQ(succeed({"exec", "--process", file("process.json"), "c"}).err,
            "runtime-shim: warning: not carried out: process.apparmorProfile: the process keeps the caller's "
            "profile\n");
  EXPECT_EQ(run(runtime({"--strict", "exec", "--process", file("process.json"), "c"})).err,
            "runtime-shim: process.apparmorProfile: the process keeps the caller's profile (--strict)\n");
  json::object text = json::parse(oci::encode(process)).as_object();
  text["scheduler"] = json::object{{"policy", "SCHED_BATCH"}};
  std::ofstream(file("process.json")) << json::serialize(text);
  EXPECT_EQ(run(runtime({"exec", "--process", file("process.json"), "c"})).err,
            "runtime-shim: process.scheduler: not carried out by this runtime\n");
  succeed({"delete", "--force", "c"});
}

}  // namespace
}  // namespace fdchain::test
