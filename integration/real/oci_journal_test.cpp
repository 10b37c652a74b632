// What the runtime says of what it does not do.

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <filesystem>
#include <regex>

#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/owned_fd.h"
#include "integration/real/conmon_fixture.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* not_carried_out =
    "not carried out: linux.seccomp: no system call is filtered; "
    "process.apparmorProfile: the process keeps the caller's profile; linux.cgroupsPath and "
    "linux.resources: no cgroup is made, so no limit and no device rule holds";

class OciWarnings : public OciTest {
 protected:
  void SetUp() override {
    oci::Config wanted = config(shell("true"));
    wanted.process->apparmor_profile = "x";
    boost::json::object text = boost::json::parse(oci::encode(wanted)).as_object();
    boost::json::object& linux_ = text.at("linux").as_object();
    linux_["seccomp"] = boost::json::object{{"defaultAction", "SCMP_ACT_ERRNO"}};
    linux_["resources"] = boost::json::object{{"pids", boost::json::object{{"limit", 100}}}};
    write_text(boost::json::serialize(text));
  }
};

// What syslog is told, without the time and the pid.
std::string received(const OwnedFd& socket) {
  std::array<char, 4096> text{};
  const ssize_t size = ::recv(socket.get(), text.data(), text.size(), MSG_DONTWAIT);
  const std::string line(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return std::regex_replace(line, std::regex(R"(\[\d+\])"), "[PID]");
}

TEST_F(OciWarnings, AreInSyslogInOneLineWhereStderrIsTheContainers) {
  fs::create_directory(file("dev"));
  const OwnedFd syslog = bind_datagram(file("dev/log"));
  for (const Words& words : {Words{"create"}, Words{"run", "--detach"}}) {
    Start start = runtime(words);
    start.argv.insert(start.argv.end(), {"-b", bundle(), "c"});
    const Result result = run(with_dev(file("dev"), start));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
    EXPECT_EQ(result.err, "") << words.front();
    EXPECT_EQ(received(syslog),
              std::string("<12>runtime-shim[PID]: container c: warning: ") + not_carried_out);
    EXPECT_EQ(received(syslog), "");
    succeed({"delete", "--force", "c"});
  }
}

TEST_F(OciWarnings, AreNoPartOfTheContainersOutputWhereThereIsNoSyslogEither) {
  fs::create_directory(file("dev"));
  for (const bool somebody_was_there : {false, true}) {
    // A socket whose daemon has gone refuses; the name alone proves nothing.
    if (somebody_was_there) (void)bind_datagram(file("dev/log"));
    const Result result = run(with_dev(file("dev"), runtime({"create", "-b", bundle(), "c"})));
    EXPECT_EQ(result.status, WaitStatus::for_exit_code(0));
    EXPECT_EQ(result.err, "");
    succeed({"delete", "--force", "c"});
  }
}

// As with runc: who stays with the container shares stderr with it knowingly.
TEST_F(OciWarnings, AreOnStderrOfWhoStaysInTheForeground) {
  EXPECT_EQ(succeed({"run", "-b", bundle(), "c"}).err,
            std::string("runtime-shim: warning: ") + not_carried_out + '\n');
}

TEST_F(OciWarnings, AreOnATerminalWhereAPersonReads) {
  Start start;
  start.argv = {"script", "-qec", bin("runtime-shim") + " --root " + states() + " run -b " + bundle() + " c",
                "/dev/null"};
  EXPECT_EQ(run(start).out, std::string("runtime-shim: warning: ") + not_carried_out + "\r\n");
}

TEST_F(OciWarnings, AreInTheLogWhenThereIsOne) {
  EXPECT_THAT(succeed({"--log", file("log"), "create", "-b", bundle(), "c"}).err, IsEmpty());
  EXPECT_THAT(read_file(file("log")), HasSubstr(not_carried_out));
  succeed({"delete", "c"});
}

TEST_F(OciWarnings, AreRefusalsWithStrict) {
  const Result result = run(runtime({"--strict", "create", "-b", bundle(), "c"}));
  EXPECT_EQ(result.err, "runtime-shim: linux.seccomp: no system call is filtered (--strict)\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
}

}  // namespace
}  // namespace fdchain::test
