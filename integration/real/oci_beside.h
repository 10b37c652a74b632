// The runtime under test beside crun and runc, with the same bundle.
#pragma once

#include <string>

#include "integration/real/oci_bundle.h"

namespace fdchain::test {

/// A real runtime, as it can be run on a machine with hybrid cgroup mounts.
struct Real {
  std::string label;
  Words command;
};
void PrintTo(const Real& real, std::ostream* out);

Real real_crun();
Real real_runc();
::testing::internal::ParamGenerator<Real> real_runtimes();
std::string label_of_real(const ::testing::TestParamInfo<Real>& param_info);

/// The same beside a real runtime, which has a container of its own.
class OciBeside : public OciTest, public ::testing::WithParamInterface<Real> {
 protected:
  void TearDown() override;
  [[nodiscard]] Start real(const Words& words) const;
  Result theirs(const Words& words) { return run(real(words)); }
  [[nodiscard]] std::string id() const;
};

}  // namespace fdchain::test
