// What a container's process is: its privileges, groups, environment and hooks, beside crun and runc.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "integration/real/oci_beside.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

const Words show_capabilities{"grep", "Cap", "/proc/self/status"};

constexpr const char* no_capabilities =
    "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
    "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n";

oci::Capabilities every_set(const Words& names) { return {names, names, names, names, names}; }

class OciPrivileges : public OciBeside {
 protected:
  /// What both runtimes' containers print.
  void expect_same_output(const Start& ours, const Start& theirs, const std::string& output) {
    const Result our_result = run(ours);
    EXPECT_EQ(our_result.out, output) << our_result.err;
    EXPECT_EQ(our_result.err, "");
    const Result their_result = run(theirs);
    EXPECT_EQ(their_result.out, output) << their_result.err;
  }
  void expect_same_of_run(const oci::Config& wanted, const std::string& output) {
    write(wanted);
    expect_same_output(runtime({"run", "-b", bundle(), "c"}), real({"run", "-b", bundle(), id()}), output);
  }
  /// The same of `exec OPTIONS ID PROGRAM…` in containers of `wanted`.
  void expect_same_of_exec(const oci::Config& wanted, const Words& options, const Words& program,
                           const std::string& output) {
    write(wanted);
    succeed({"create", "-b", bundle(), "c"});
    EXPECT_EQ(theirs({"create", "-b", bundle(), id()}).status, WaitStatus::for_exit_code(0));
    const auto words = [&](const std::string& container) {
      Words all{"exec"};
      all.insert(all.end(), options.begin(), options.end());
      all.push_back(container);
      all.insert(all.end(), program.begin(), program.end());
      return all;
    };
    expect_same_output(runtime(words("c")), real(words(id())), output);
    succeed({"delete", "--force", "c"});
    theirs({"delete", "--force", id()});
  }
};

TEST_P(OciPrivileges, OfWhichNothingIsSaidAreNone) {
  oci::Config wanted = config(show_capabilities);
  expect_same_of_run(wanted, no_capabilities);
  wanted.process->user.uid = wanted.process->user.gid = 1000;
  expect_same_of_run(wanted, no_capabilities);
  wanted = config({"sleep", "100"});
  expect_same_of_exec(wanted, {}, show_capabilities, no_capabilities);
  expect_same_of_exec(wanted, {"-u", "1000:1000"}, show_capabilities, no_capabilities);
}

TEST_P(OciPrivileges, OfAProcessFileThatSaysNothingAreTheContainers) {
  oci::Process process;
  process.args = show_capabilities;
  process.env = {"PATH=/bin"};
  std::ofstream(file("process.json")) << oci::encode(process);
  oci::Config wanted = config({"sleep", "100"});
  expect_same_of_exec(wanted, {"--process", file("process.json")}, {}, no_capabilities);
  wanted.process->capabilities = every_set({"CAP_CHOWN", "CAP_KILL"});
  expect_same_of_exec(wanted, {"--process", file("process.json")}, {},
                      "CapInh:\t0000000000000021\nCapPrm:\t0000000000000021\nCapEff:\t0000000000000021\n"
                      "CapBnd:\t0000000000000021\nCapAmb:\t0000000000000021\n");
}

TEST_P(OciPrivileges, ThatNobodyKnowsArePassedOver) {
  oci::Config wanted = config(show_capabilities);
  wanted.process->capabilities = every_set({"CAP_KILL", "CAP_FUTURE"});
  write(wanted);
  const std::string kill_alone =
      "CapInh:\t0000000000000020\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\n"
      "CapBnd:\t0000000000000020\nCapAmb:\t0000000000000020\n";
  expect_same_output(runtime({"--log", file("log"), "run", "-b", bundle(), "c"}),
                     real({"run", "-b", bundle(), id()}), kill_alone);
  EXPECT_THAT(read_file(file("log")),
              MatchesRegex("time=\"[^\"]*\" level=warning msg=\"not carried out: process.capabilities: "
                           "CAP_FUTURE: no such capability\"\n"));
  EXPECT_EQ(run(runtime({"--strict", "run", "-b", bundle(), "c"})).err,
            "runtime-shim: process.capabilities: CAP_FUTURE: no such capability (--strict)\n");
  wanted.process->capabilities.reset();
  wanted.process->args = {"sleep", "100"};
  expect_same_of_exec(wanted, {"-u", "0"}, show_capabilities, no_capabilities);
}

TEST_P(OciPrivileges, OfExecCanBeAmbientWhereTheContainersAreInheritable) {
  oci::Config wanted = config({"sleep", "100"});
  wanted.process->capabilities = every_set({"CAP_CHOWN"});
  for (auto* const set :
       {&wanted.process->capabilities->bounding, &wanted.process->capabilities->inheritable})
    set->emplace_back("CAP_SYSLOG");
  const std::string both =
      "CapInh:\t0000000400000001\nCapPrm:\t0000000400000001\nCapEff:\t0000000400000001\n"
      "CapBnd:\t0000000400000001\nCapAmb:\t0000000400000001\n";
  // crun gives the process the one that is named, and takes the container's away.
  if (GetParam().label == "crun") {
    write(wanted);
    succeed({"create", "-b", bundle(), "c"});
    EXPECT_EQ(
        succeed({"exec", "-u", "1000", "--cap", "CAP_SYSLOG", "c", "grep", "Cap", "/proc/self/status"}).out,
        both);
    succeed({"delete", "--force", "c"});
    return;
  }
  expect_same_of_exec(wanted, {"-u", "1000", "--cap", "CAP_SYSLOG"}, show_capabilities, both);
}

TEST_P(OciPrivileges, OriginalGroupsAreKeptWhenTheAnnotationAsksForIt) {
  oci::Config wanted = config({"grep", "Groups", "/proc/self/status"});
  wanted.process->user.additional_gids = {7};
  const auto with_groups = [](Start start, const std::string& groups) {
    start.argv.insert(start.argv.begin(), {"setpriv", "--groups", groups});
    return start;
  };
  const Start ours = with_groups(runtime({"run", "-b", bundle(), "c"}), "1,2,3");
  const Start theirs = with_groups(real({"run", "-b", bundle(), id()}), "1,2,3");
  const auto kept = [&](const std::string& value) {
    wanted.annotations = {{"run.oci.keep_original_groups", value}};
    write(wanted);
    if (GetParam().label == "crun") {
      EXPECT_EQ(run(ours).out, run(theirs).out) << value;
    }
    return run(ours).out;
  };
  EXPECT_EQ(kept("1"), "Groups:\t1 2 3 \n");
  EXPECT_EQ(kept("true"), "Groups:\t1 2 3 \n");
  EXPECT_EQ(kept("0"), "Groups:\t7 \n");
  kept("1");
  wanted.process->args = {"sleep", "100"};
  write(wanted);
  succeed({"create", "-b", bundle(), "c"});
  EXPECT_EQ(run(with_groups(runtime({"exec", "c", "grep", "Groups", "/proc/self/status"}), "4,5")).out,
            "Groups:\t4 5 \n");
  succeed({"delete", "--force", "c"});
}

TEST_P(OciPrivileges, IdsThatRuncRefusesAreRefused) {
  for (const std::string id_of : {"uid", "gid"}) {
    for (const std::uint32_t number : {4294967295U, 4294967294U, 2147483648U}) {
      oci::Config wanted = config({"id"});
      (id_of == "uid" ? wanted.process->user.uid : wanted.process->user.gid) = number;
      const Result result = run_container(wanted);
      EXPECT_EQ(result.err, "runtime-shim: " + bundle() + "/config.json: process.user." + id_of + ": " +
                                std::to_string(number) + ": uids and gids must be in range 0-2147483647\n");
      EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
      // crun takes the first for "leave it as it is", and that is root.
      if (GetParam().label == "runc") {
        EXPECT_EQ(theirs({"run", "-b", bundle(), id()}).status, WaitStatus::for_exit_code(1));
      }
    }
  }
  oci::Config wanted = config({"id", "-u"});
  wanted.process->user.uid = 2147483647;
  expect_same_of_run(wanted, "2147483647\n");
}

TEST_P(OciPrivileges, OfTwoVariablesOfANameTheLastIsMeant) {
  oci::Config wanted = config({"/bin/env"});
  wanted.process->env = {"ONE=two", "ONE=three", "HOME=/"};
  expect_same_of_run(wanted, "ONE=three\nHOME=/\n");
  wanted.process->args = {"/bin/sleep", "100"};
  expect_same_of_exec(wanted, {}, {"/bin/env"}, "ONE=three\nHOME=/\n");
}

TEST_P(OciPrivileges, AProcessFileCanBeNamedByADescriptor) {
  oci::Process process;
  process.args = {"hostname"};
  process.env = {"PATH=/bin"};
  std::ofstream(file("process.json")) << oci::encode(process);
  write(config({"sleep", "100"}));
  succeed({"create", "-b", bundle(), "c"});
  EXPECT_EQ(theirs({"create", "-b", bundle(), id()}).status, WaitStatus::for_exit_code(0));
  const std::string at_9 = "exec \"$@\" 9< " + file("process.json");
  const std::string by_shell = "cat " + file("process.json") + " | exec \"$@\"";
  for (const auto& [script, path] : {std::pair(at_9, "/dev/fd/9"), std::pair(by_shell, "/dev/stdin"),
                                     std::pair(by_shell, "/proc/self/fd/0")}) {
    Start ours = runtime({"exec", "-p", path, "c"});
    Start theirs = real({"exec", "-p", path, id()});
    for (Start* const start : {&ours, &theirs})
      start->argv.insert(start->argv.begin(), {"bash", "-c", script, "_"});
    expect_same_output(ours, theirs, "probe\n");
  }
  // What is wrong with it is told by the name that the caller knows.
  Start bad = runtime({"exec", "-p", "/dev/stdin", "c"});
  bad.input = "{}";
  const Result result = run(bad);
  EXPECT_EQ(result.err, "runtime-shim: /dev/stdin: args: missing\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(255));
  succeed({"delete", "--force", "c"});
  Start start = runtime({"run", "-b", bundle(), "-f", "/dev/stdin", "c"});
  start.input = oci::encode(config({"hostname"}));
  EXPECT_EQ(run(start).out, "probe\n");
}

INSTANTIATE_TEST_SUITE_P(Against, OciPrivileges, real_runtimes(), label_of_real);

class OciHooks : public OciBeside {
 protected:
  static constexpr std::array lists{
      std::pair{"prestart", &oci::Hooks::prestart},
      std::pair{"createRuntime", &oci::Hooks::create_runtime},
      std::pair{"createContainer", &oci::Hooks::create_container},
      std::pair{"startContainer", &oci::Hooks::start_container},
      std::pair{"poststart", &oci::Hooks::poststart},
      std::pair{"poststop", &oci::Hooks::poststop},
  };
  // One that does not read the state makes crun fail, if it ends first.
  static oci::Hook shell_hook(const std::string& script) {
    return {"/bin/sh", {"sh", "-c", "cat > /dev/null; " + script}, {}, {}};
  }
};

TEST_P(OciHooks, SayNothingInTheContainersOutput) {
  oci::Config wanted = config(shell("echo payload; echo error >&2"));
  for (const auto& [name, list] : lists) wanted.hooks.*list = {shell_hook("echo out; echo err >&2")};
  const Result ours = run_container(wanted);
  const Result theirs = this->theirs({"run", "-b", bundle(), id()});
  EXPECT_EQ(ours.out, "payload\n");
  EXPECT_EQ(ours.err, "error\n");
  EXPECT_EQ(theirs.out, "payload\n");
  EXPECT_EQ(theirs.err, "error\n");
}

TEST_P(OciHooks, WithoutAnEnvironmentHaveTheRuntimes) {
  oci::Config wanted = config(shell("true"));
  wanted.process->env = {"PATH=/bin", "FOO=inside"};
  wanted.hooks.prestart = {shell_hook("echo $FOO $LISTEN_FDS > " + file("prestart"))};
  wanted.hooks.poststop = {shell_hook("echo $FOO > " + file("poststop"))};
  wanted.hooks.start_container = {shell_hook("echo $FOO > /tmp/start")};
  write(wanted);
  for (Start start : {runtime({"run", "-b", bundle(), "c"}), real({"run", "-b", bundle(), id()})}) {
    start.environment = {"FOO=outside"};
    const Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
    EXPECT_EQ(read_file(file("prestart")), "outside\n");
    EXPECT_EQ(read_file(file("poststop")), "outside\n");
    EXPECT_EQ(read_file(root() + "/tmp/start"), "inside\n");
  }
  oci::Hook given = shell_hook("echo $FOO.$BAR > " + file("prestart"));
  given.env = {"BAR=one", "BAR=two"};
  wanted.hooks.prestart = {given};
  write(wanted);
  for (Start start : {runtime({"run", "-b", bundle(), "c"}), real({"run", "-b", bundle(), id()})}) {
    start.environment = {"FOO=outside"};
    run(start);
    EXPECT_EQ(read_file(file("prestart")), ".two\n");
  }
}

TEST_P(OciHooks, AreQuotedWhenTheyFail) {
  oci::Config wanted = config(shell("true"));
  wanted.hooks.prestart = {shell_hook("echo out; echo err >&2; exit 3")};
  EXPECT_EQ(run_container(wanted).err,
            "runtime-shim: prestart hook /bin/sh exited with status 3, and said: out\\x0aerr\n");
  if (GetParam().label == "runc") {
    EXPECT_THAT(theirs({"run", "-b", bundle(), id()}).err, HasSubstr(R"(stdout: out\n, stderr: err\n)"));
  }
}

TEST_P(OciHooks, WriteWhereTheAnnotationsSay) {
  oci::Config wanted = config(shell("true"));
  wanted.annotations = {{"run.oci.hooks.stdout", file("out")}, {"run.oci.hooks.stderr", file("err")}};
  for (const auto& [name, list] : lists) {
    const std::string text = name;
    wanted.hooks.*list = {shell_hook("echo " + text + "; echo no " + text + " >&2")};
  }
  EXPECT_EQ(run_container(wanted).status, WaitStatus::for_exit_code(0));
  EXPECT_EQ(read_file(file("out")),
            "prestart\ncreateRuntime\ncreateContainer\nstartContainer\npoststart\npoststop\n");
  if (GetParam().label == "crun") {
    // Its startContainer and poststart hooks run at once, in whatever order.
    const auto lines = [&] {
      std::istringstream text(read_file(file("out")) + read_file(file("err")));
      std::multiset<std::string> all;
      for (std::string line; std::getline(text, line);) all.insert(line);
      return all;
    };
    const auto ours = lines();
    fs::remove(file("out"));
    fs::remove(file("err"));
    EXPECT_EQ(theirs({"run", "-b", bundle(), id()}).status, WaitStatus::for_exit_code(0));
    EXPECT_EQ(lines(), ours);
  }
  check(::mkfifo(file("fifo").c_str(), 0600), "mkfifo");
  wanted.annotations = {{"run.oci.hooks.stdout", file("fifo")}};
  EXPECT_EQ(run_container(wanted).err,
            "runtime-shim: run.oci.hooks.stdout " + file("fifo") + ": No such device or address\n");
}

INSTANTIATE_TEST_SUITE_P(Against, OciHooks, real_runtimes(), label_of_real);

class OciProcess : public OciTest {};

TEST_F(OciProcess, ANameThatIsNotThereIsToldInTheWordsThatPodmanLooksFor) {
  std::ofstream(root() + "/script") << "#!/nosuch\n";
  fs::permissions(root() + "/script", fs::perms::all);
  EXPECT_EQ(run_container(config({"/script"})).err,
            "runtime-shim: exec /script: the interpreter it names is not there: No such file or directory\n");
}

// They are the host's, whoever the container's user is.
TEST_F(OciProcess, ADeviceOfTheHostsAsStdioKeepsItsOwner) {
  oci::Config wanted = config(shell("id -u >&2"));
  wanted.process->user = {1000, 1000, {}, {}};
  write(wanted);
  for (const unsigned number : {3U, 5U, 7U}) {  // null, zero, full
    const std::string device = file("device" + std::to_string(number));
    check(::mknod(device.c_str(), S_IFCHR | 0666, ::makedev(1, number)), "mknod", device);
    Start start = runtime({"run", "-b", bundle(), "c"});
    start.argv.insert(start.argv.begin(), {"sh", "-c", "exec \"$@\" <" + device + " >" + device, "sh"});
    EXPECT_EQ(run(start).err, "1000\n");
    struct stat status {};
    check(::stat(device.c_str(), &status), "stat", device);
    EXPECT_EQ(status.st_uid, 0U) << device;
    EXPECT_EQ(status.st_gid, 0U) << device;
  }
}

TEST_F(OciProcess, KeptItIsThereWhenItHasEnded) {
  write(config(shell("exit 3")));
  EXPECT_EQ(run(runtime({"run", "--keep", "-b", bundle(), "c"})).status, WaitStatus::for_exit_code(3));
  EXPECT_EQ(json::parse(succeed({"state", "c"}).out).at("status"), "stopped");
  succeed({"delete", "c"});
}

TEST_F(OciProcess, DebuggingIsLoggedAsTheOthersLogIt) {
  write(config(shell("echo payload")));
  const Result shown = run(runtime({"--debug", "run", "-b", bundle(), "c"}));
  EXPECT_EQ(shown.out, "payload\n");
  EXPECT_THAT(shown.err, MatchesRegex("(time=\"[^\"]*\" level=debug msg=\"[^\"]*\"\n)+"));
  const Result logged = run(runtime({"--debug", "--log", file("log"), "run", "-b", bundle(), "c"}));
  EXPECT_EQ(logged.err, "");
  EXPECT_THAT(read_file(file("log")), MatchesRegex("(time=\"[^\"]*\" level=debug msg=\"[^\"]*\"\n)+"));
  EXPECT_EQ(run(runtime({"run", "-b", bundle(), "c"})).err, "");
}

TEST_F(OciProcess, OutputReachesACallerWhoHasATerminalsControllingEnd) {
  const OwnedFd master(check(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), "open", "/dev/ptmx"));
  int unlocked = 0;
  check(::ioctl(master.get(), TIOCSPTLCK, &unlocked), "ioctl");
  const OwnedFd slave(
      check(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), "ioctl"));
  oci::Config wanted = config(shell("echo word"));
  wanted.process->terminal = true;
  write(wanted);
  Start start = runtime({"run", "-b", bundle(), "c"});
  start.argv.insert(start.argv.begin(), {"sh", "-c", "exec \"$@\" >&7 7>&-", "_"});
  start.pass = {{master.get(), 7}};
  const Result result = run(start);
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
  std::array<char, 64> text{};
  const ssize_t got = ::read(slave.get(), text.data(), text.size());
  EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))), "word\n");
}

TEST_F(OciProcess, ExecRefusesTheIdsThatAConfigurationMayNotHave) {
  write(config({"sleep", "100"}));
  succeed({"create", "-b", bundle(), "c"});
  const auto refusal = [&](const Words& options, const std::string& shown) {
    Words words{"exec"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"c", "id"});
    const Result result = run(runtime(words));
    EXPECT_EQ(result.err, "runtime-shim: " + shown + ": uids and gids must be in range 0-2147483647\n");
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(255));
  };
  refusal({"-u", "4294967295"}, "--user 4294967295");
  refusal({"-u", "0:2147483648"}, "--user 2147483648");
  refusal({"-g", "4294967295"}, "--additional-gids 4294967295");
  succeed({"delete", "--force", "c"});
}

TEST_F(OciProcess, AStartThatNobodyWaitsForIsTold) {
  write(config(shell("true")));
  succeed({"create", "-b", bundle(), "--pid-file", file("pid"), "c"});
  // As if the container had been killed after it was looked at: its place is another's, who waits for
  // nothing.
  json::object state = json::parse(read_file(states() + "/c/state.json")).as_object();
  ::kill(std::stoi(read_file(file("pid"))), SIGKILL);
  expect_nobody_left();
  Start sleep;
  sleep.argv = {"sleep", "100"};
  Program other(sleep);
  std::string rest = read_file("/proc/" + std::to_string(other.pid()) + "/stat");
  rest.erase(0, rest.rfind(')') + 2);
  std::istringstream fields(rest);
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  state["pid"] = other.pid();
  state["startTime"] = std::stoull(field);
  std::ofstream(states() + "/c/state.json") << json::serialize(state);
  const Result result = run(runtime({"start", "c"}));
  EXPECT_EQ(result.err, "runtime-shim: container c: it has stopped: No such process\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  succeed({"delete", "--force", "c"});
  EXPECT_EQ(other.finish().status, WaitStatus::for_signal(SIGKILL));
}

TEST_F(OciProcess, AStateOfSomebodyElsesGoesByForceWithWhatIsThisRuntimes) {
  const std::string path = states() + "/c";
  fs::create_directory(path);
  std::ofstream(path + "/state.json") << "{";
  EXPECT_EQ(run(runtime({"delete", "c"})).status, WaitStatus::for_exit_code(1));
  EXPECT_EQ(succeed({"delete", "--force", "c"}).err,
            "runtime-shim: warning: " + path +
                "/state.json: not a state of this runtime's; deleted, and a "
                "process that it may have is left alone\n");
  EXPECT_FALSE(fs::exists(path));
  // What is not this runtime's stays, whatever directory --root is.
  fs::create_directories(path + "/foreign");
  std::ofstream(path + "/.tmp0123456789abcdef") << "";
  const Result result = run(runtime({"delete", "--force", "c"}));
  EXPECT_EQ(result.err, "runtime-shim: container c: " + path +
                            "/ has something in it that is not this runtime's, and stays\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_TRUE(fs::exists(path + "/foreign"));
  EXPECT_FALSE(fs::exists(path + "/.tmp0123456789abcdef"));
  fs::remove_all(path);
}

}  // namespace
}  // namespace fdchain::test
