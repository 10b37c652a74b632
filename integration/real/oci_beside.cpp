#include "integration/real/oci_beside.h"

#include <filesystem>

#include "integration/real/monitored.h"

namespace fdchain::test {

void PrintTo(const Real& real, std::ostream* out) { *out << real.label; }

Real real_crun() { return {"crun", with_cgroup2({"crun", "--cgroup-manager=disabled"})}; }
Real real_runc() { return {"runc", {"runc"}}; }

::testing::internal::ParamGenerator<Real> real_runtimes() {
  return ::testing::Values(real_crun(), real_runc());
}

std::string label_of_real(const ::testing::TestParamInfo<Real>& param_info) { return param_info.param.label; }

void OciBeside::TearDown() {
  theirs({"delete", "--force", id()});
  OciTest::TearDown();
}

Start OciBeside::real(const Words& words) const {
  Start start;
  start.argv = GetParam().command;
  start.argv.insert(start.argv.end(), {"--root", file("their-states")});
  start.argv.insert(start.argv.end(), words.begin(), words.end());
  return start;
}

// A process id comes back, and with it the cgroup of a test that was killed.
std::string OciBeside::id() const { return std::filesystem::path(directory_.path()).filename(); }

}  // namespace fdchain::test
