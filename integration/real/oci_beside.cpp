#include "integration/real/oci_beside.h"

#include <unistd.h>

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

Start OciBeside::real(const Words& words) {
  Start start;
  start.argv = GetParam().command;
  start.argv.insert(start.argv.end(), words.begin(), words.end());
  return start;
}

std::string OciBeside::id() { return "fdchain-" + std::to_string(::getpid()); }

}  // namespace fdchain::test
