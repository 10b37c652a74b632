// A container that is not wanted any more while it is being made.

#include <fcntl.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "fdchain/system/sys.h"
#include "integration/real/oci_bundle.h"

namespace fdchain::test {
namespace {

namespace fs = std::filesystem;
using Hooks = std::vector<oci::Hook> oci::Hooks::*;

/// A moment of the making, by the hook that takes for ever then; and the signal that comes.
struct Moment {
  std::string hook;
  Hooks hooks;
  std::string verb;
  int signal;
};
void PrintTo(const Moment& moment, std::ostream* out) { *out << moment.verb << ' ' << moment.hook; }

class OciInterrupted : public OciTest, public ::testing::WithParamInterface<Moment> {};

// That nothing is left, no process and no directory, is looked at after every test.
TEST_P(OciInterrupted, MakesNothing) {
  const Moment& moment = GetParam();
  oci::Config wanted = config(shell("exec sleep 1000"));
  wanted.hooks.*moment.hooks = {
      {"/bin/sh", {"sh", "-c", "echo there >&2; exec sleep 1000"}, {"PATH=/bin:/usr/bin"}, {}}};
  write(wanted);
  Program program(runtime({moment.verb, "-b", bundle(), "--pid-file", file("pid"), "c"}));
  program.wait_for_err("there");
  program.signal(moment.signal);
  const Result result = program.finish();
  const std::string name = moment.signal == SIGTERM ? "TERM" : "INT";
  EXPECT_EQ(result.err, "there\nruntime-shim: interrupted by SIG" + name + " before the payload was there\n");
  EXPECT_EQ(result.status, WaitStatus::for_exit_code(1));
  EXPECT_FALSE(fs::exists(file("pid")));
}

INSTANTIATE_TEST_SUITE_P(
    While, OciInterrupted,
    ::testing::Values(Moment{"prestart", &oci::Hooks::prestart, "run", SIGTERM},
                      Moment{"createRuntime", &oci::Hooks::create_runtime, "run", SIGINT},
                      Moment{"createRuntime", &oci::Hooks::create_runtime, "create", SIGTERM},
                      Moment{"createContainer", &oci::Hooks::create_container, "run", SIGTERM},
                      Moment{"startContainer", &oci::Hooks::start_container, "run", SIGTERM},
                      Moment{"poststart", &oci::Hooks::poststart, "run", SIGTERM}),
    [](const auto& param_info) { return param_info.param.verb + '_' + param_info.param.hook; });

}  // namespace
}  // namespace fdchain::test
