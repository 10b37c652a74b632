// The real podman and the real conmon, with our runtime at the end.

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "integration/real/conmon_fixture.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

/// podman with storage of the test's own. The states are where they are by default: podman's own clean-up is
/// not given the options of --runtime-flag.
class OciPodman : public OciTest {
 protected:
  void TearDown() override {
    OciTest::TearDown();
    Start list;
    list.argv = {bin("runtime-shim"), "list", "--format", "json"};
    EXPECT_THAT(run(list).out, Not(HasSubstr(directory_.path()))) << "a container's directory is left";
  }

  [[nodiscard]] Start podman(Words words) const {
    Words all{"podman",   "--root",    file("storage"),    "--runroot", file("runroot"),
              "--tmpdir", file("tmp"), "--storage-driver", "vfs",       "--cgroup-manager",
              "cgroupfs", "--runtime", bin("runtime-shim")};
    all.insert(all.end(), words.begin(), words.end());
    Start start;
    start.argv = std::move(all);
    return start;
  }

  // Limits below the usual ones: not every machine lets a container's be raised.
  [[nodiscard]] Start podman_run(Words options, const Words& command) const {
    Words words{"run", "--network=none", "--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"--rootfs", root()});
    words.insert(words.end(), command.begin(), command.end());
    return podman(words);
  }

  static Start with_runtime(const std::string& name, Start start) {
    *std::next(std::ranges::find(start.argv, "--runtime")) = name;
    return start;
  }

  Result does(const Start& start) {
    Result result = run(start);
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0)) << result.err;
    return result;
  }
};

TEST_F(OciPodman, RunsAttachedWithInputAndItsStatusIsThePayloads) {
  EXPECT_EQ(does(podman_run({"--rm"}, {"echo", "hello"})).out, "hello\n");
  Start with_input = podman_run({"--rm", "-i"}, {"cat"});
  with_input.input = "words\n";
  EXPECT_EQ(does(with_input).out, "words\n");
  EXPECT_EQ(run(podman_run({"--rm"}, shell("exit 7"))).status, WaitStatus::for_exit_code(7));
}

TEST_F(OciPodman, LogsAreThePayloadsAlone) {
  const Words command = shell("echo hello; echo trouble >&2");
  for (const std::string& name : {bin("runtime-shim"), std::string("runc")}) {
    const Result result = does(with_runtime(name, podman_run({"--name", "c"}, command)));
    EXPECT_EQ(result.out, "hello\n") << name;
    EXPECT_EQ(result.err, "trouble\n") << name;
    const Result logged = does(podman({"logs", "c"}));
    EXPECT_EQ(logged.out, "hello\n") << name;
    EXPECT_EQ(logged.err, "trouble\n") << name;
    does(with_runtime(name, podman({"rm", "c"})));
  }
}

// But for the times, and for a link that runc does not make.
constexpr const char* devices_and_privileges =
    R"(grep -E '^(Cap|NoNew|Groups)' /proc/self/status
ls -lnR /dev | grep -v '^total' | grep -v 'core ->' | sed 's/ ...  *[0-9]* [0-9]*:[0-9]* / /')";

TEST_F(OciPodman, PrivilegedContainersHaveWhatTheyHaveWithRunc) {
  const Start start = podman_run({"--rm", "--privileged"}, shell(devices_and_privileges));
  const Result ours = does(start);
  EXPECT_THAT(ours.out, HasSubstr(" full\n")) << ours.err;
  EXPECT_EQ(ours.out, does(with_runtime("runc", start)).out);
  EXPECT_EQ(ours.err, "");
}

TEST_F(OciPodman, DevicesAreGivenAsByRunc) {
  const Start start = podman_run({"--rm", "--device", "/dev/null:/dev/x", "--device", "/dev/zero:/dev/y:r"},
                                 shell(std::string(devices_and_privileges) + "; echo > /dev/x; echo $?"));
  const Result ours = does(start);
  EXPECT_THAT(ours.out, HasSubstr("crw-rw-rw-    1 0        0           1,   3 x\n"));
  EXPECT_EQ(ours.out, does(with_runtime("runc", start)).out);
}

TEST_F(OciPodman, GroupsCanBeKept) {
  Start start = podman_run({"--rm", "--group-add", "keep-groups"}, {"grep", "Groups", "/proc/self/status"});
  start.argv.insert(start.argv.begin(), {"setpriv", "--groups", "5,6"});
  EXPECT_EQ(does(start).out, "Groups:\t5 6 \n");
}

TEST_F(OciPodman, TellsWhatIsNotThereFromWhatMayNotBeExecuted) {
  EXPECT_EQ(run(podman_run({"--rm"}, {"nosuch"})).status, WaitStatus::for_exit_code(127));
  EXPECT_EQ(run(podman_run({"--rm"}, {"/nosuch"})).status, WaitStatus::for_exit_code(127));
  EXPECT_EQ(run(podman_run({"--rm"}, {"/etc"})).status, WaitStatus::for_exit_code(126));
  std::ofstream(root() + "/plain") << "not a program\n";
  EXPECT_EQ(run(podman_run({"--rm"}, {"/plain"})).status, WaitStatus::for_exit_code(126));
  // Found out only when it is executed, with the container there already: the status is the container's.
  std::ofstream(root() + "/script") << "#!/nosuch\n";
  fs::permissions(root() + "/script", fs::perms::all);
  EXPECT_EQ(run(podman_run({"--rm"}, {"/script"})).status, WaitStatus::for_exit_code(127));
  EXPECT_EQ(run(podman_run({"--rm", "--memory", "100m"}, {"true"})).status, WaitStatus::for_exit_code(126));
}

TEST_F(OciPodman, CanHaveTheErrorsLoggedAsTheOthersDo) {
  Start start = podman_run({"--rm"}, {"/nosuch"});
  start.argv.insert(start.argv.begin() + 1,
                    {"--runtime-flag", "log=" + file("log"), "--runtime-flag", "log-format=json"});
  EXPECT_EQ(run(start).status, WaitStatus::for_exit_code(127));
  EXPECT_THAT(read_file(file("log")),
              HasSubstr(R"({"msg":"exec /nosuch: No such file or directory","level":"error","time":")"));
}

TEST_F(OciPodman, StartsExecutesStopsAndRemoves) {
  does(podman_run({"-d", "--name", "c"}, shell("trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done")));
  EXPECT_EQ(does(podman({"exec", "c", "echo", "in"})).out, "in\n");
  EXPECT_EQ(run(podman({"exec", "c", "sh", "-c", "exit 9"})).status, WaitStatus::for_exit_code(9));
  EXPECT_EQ(run(podman({"exec", "c", "nosuch"})).status, WaitStatus::for_exit_code(127));
  does(podman({"stop", "-t", "20", "c"}));
  EXPECT_EQ(does(podman({"wait", "c"})).out, "3\n");
  EXPECT_EQ(does(podman({"logs", "c"})).out, "up\n");
  does(podman({"rm", "c"}));
}

TEST_F(OciPodman, KillsAndRemovesByForce) {
  does(podman_run({"-d", "--name", "c"}, {"sleep", "100"}));
  does(podman({"kill", "c"}));
  EXPECT_EQ(does(podman({"wait", "c"})).out, "137\n");
  does(podman({"rm", "c"}));
  does(podman_run({"-d", "--name", "d"}, {"sleep", "100"}));
  does(podman({"rm", "-f", "-t", "0", "d"}));
}

TEST_F(OciPodman, HasTerminals) {
  std::string line;
  for (const std::string& word : podman_run({"--rm", "-t"}, {"tty"}).argv) line += word + ' ';
  Start start;
  start.argv = {"script", "-qec", line, "/dev/null"};
  EXPECT_EQ(does(start).out, "/dev/pts/0\r\n");
}

TEST_F(OciPodman, PassesTheActivatorsVerySockets) {
  const OwnedFd listener(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  check(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(sa_family_t)), "bind");
  check(::listen(listener.get(), 5), "listen");
  Start start = podman_run({"--rm"}, {"/payload", "report"});
  start.argv = as_activated(start.argv);
  start.environment = {"LISTEN_FDS=2", "LISTEN_FDNAMES=a:b"};
  start.pass = {{listener.get(), 3}, {listener.get(), 4}, {listener.get(), 20}};
  const PayloadReport report(does(start).out);
  EXPECT_EQ(report.adopted(), 2);
  EXPECT_THAT(report.names(), ElementsAre("a", "b"));
  EXPECT_THAT(report.numbers(), ElementsAre(0, 1, 2, 3, 4));
  for (const int number : {3, 4})
    EXPECT_EQ(report.identity(number), identity_of(*observe_fd(listener.get())));
}

}  // namespace
}  // namespace fdchain::test
