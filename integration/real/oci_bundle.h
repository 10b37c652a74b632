// A bundle and the runtime under test, for tests of the OCI dialect.
#pragma once

#include <string>
#include <vector>

#include "fdchain/model/oci_config.h"
#include "integration/harness/chain_test.h"

namespace fdchain::test {

using Words = std::vector<std::string>;

/// A test with a bundle: a root file system with a shell and fdchain's payload, and states in a directory of
/// the test's own, which is empty when it ends.
class OciTest : public ChainTest {
 protected:
  OciTest();
  void TearDown() override;

  /// What every container of these tests has: its own pid, network, ipc, uts and mount namespace, /proc, /dev
  /// and /sys.
  [[nodiscard]] oci::Config config(Words args) const;

  /// Writes the bundle's config.json.
  void write(const oci::Config& config) const;
  void write_text(const std::string& text) const;

  [[nodiscard]] std::string bundle() const { return file("bundle"); }
  [[nodiscard]] std::string root() const { return file("bundle/rootfs"); }
  [[nodiscard]] std::string states() const { return file("states"); }

  /// `runtime-shim --root STATES WORDS…`
  [[nodiscard]] Start runtime(Words words) const;

  /// Runs it, and expects it to end with status 0.
  Result succeed(Words words);

  /// Writes `config` for a container of an ordinary user, who is its only one, and gives that user everything
  /// in the test's directory. sysfs is left out: it would need a network namespace of the user's own.
  void write_for_ordinary_user(oci::Config config) const;

  /// The same call by that user.
  [[nodiscard]] Start runtime_of_ordinary_user(Words words) const;

  /// `runtime-shim run -b BUNDLE c`, after writing `config`.
  Result run_container(const oci::Config& config);
};

/// The same with a /dev of its own: a `log` where `directory` has one, and the usual devices.
Start with_dev(const std::string& directory, Start start);

/// A shell script as the arguments of a process.
Words shell(const std::string& script);

}  // namespace fdchain::test
