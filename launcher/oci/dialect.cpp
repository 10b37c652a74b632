#include "launcher/oci/dialect.h"

#include <unistd.h>

#include "fdchain/model/failure.h"
#include "fdchain/model/variables.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fs/files.h"
#include "launcher/oci/command.h"

namespace fdchain {
namespace {

constexpr auto patience = std::chrono::seconds(5);

void refuse_what_no_container_has(const RunOptions& options) {
  const char* const dialect = "the OCI dialect (--dialect native, or programs of fdchain, would have it)";
  if (options.isolation.user) throw Failure(std::string("--userns private: not in ") + dialect);
  const bool terminal =
      options.detach && options.log.kind == LogTarget::Kind::passthrough &&
      (::isatty(STDIN_FILENO) == 1 || ::isatty(STDOUT_FILENO) == 1 || ::isatty(STDERR_FILENO) == 1);
  if (terminal)
    throw Failure(
        "--detach --log passthrough: a conmon passes no terminal on; redirect, or use --log k8s-file:FILE or "
        "none");
}

}  // namespace

bool is_ours(const std::string& program, std::string_view own_name, const Environment& environment) try {
  if (program == find_own_program(own_name)) return true;
  const std::string path = find_hop(program, environment.get("PATH").value_or(standard_path));
  if (::access(path.c_str(), X_OK) < 0) return true;
  Environment plain = environment;
  for (const auto name : {trace_name, fault_name, profile_name}) plain.unset(name);
  const Outcome outcome = run_command({path, "--version"}, plain, current_signal_mask(), patience);
  return outcome.said.find("fdchain") != std::string::npos;
} catch (const Failure&) {
  return true;
}

void choose_dialect(RunOptions& options, const Environment& environment) {
  if (!options.dialect) {
    const bool native = is_ours(options.monitor, "monitor", environment) &&
                        is_ours(options.runtime, "runtime-shim", environment);
    options.dialect = native ? Dialect::native : Dialect::oci;
  }
  if (options.dialect == Dialect::native) return;
  if (!options.pid_given) options.isolation.pid = true;
  refuse_what_no_container_has(options);
}

}  // namespace fdchain
