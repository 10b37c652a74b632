// What the runtime says of what it does not do.

#include <boost/json.hpp>

#include "fdchain/protocol/oci_config.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

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

TEST_F(OciWarnings, AreOnStderrInOneLineWithTheGuardsOfTheHostFirst) {
  for (const Words& verb : {Words{"create"}, Words{"run"}}) {
    EXPECT_EQ(succeed({verb[0], "-b", bundle(), "c"}).err,
              std::string("runtime-shim: warning: ") + not_carried_out + '\n')
        << verb[0];
    succeed({"delete", "--force", "c"});
  }
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
