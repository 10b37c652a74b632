#include "runtime-shim/native/options.h"

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/isolation_options.h"
#include "fdchain/program/options.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

constexpr std::string_view usage =
    "Usage: runtime-shim [OPTIONS] [--] PAYLOAD [ARG...]\n\n"
    "The OCI runtime's part of the chain: arranges descriptors and environment as the payload shall find "
    "them, and becomes PAYLOAD in place, with the same pid; with --pid private it starts PAYLOAD beside "
    "itself. The "
    "monitor starts it; it also runs alone.\n\n"
    "       runtime-shim [OPTIONS] COMMAND [OPTIONS] [ID]\n\n"
    "As an OCI runtime, in the place of crun or runc: COMMAND is create, start, run, exec, state, kill, "
    "delete, list, ps, features or spec, and `runtime-shim COMMAND --help` tells its options. A PAYLOAD of "
    "such a name needs "
    "-- "
    "before it.\n";

po::options_description describe(ShimOptions& options, IsolationTexts& isolation) {
  po::options_description own("Options");
  own.add_options()  //
      ("sync-fd", po::value(&options.sync_fd)->value_name("FD"),
       "report a failure there, as the monitor asks")  //
      ("preserve-fds", po::value(&options.preserve_fds)->value_name("N"),
       "pass on N descriptors after the sockets")  //
      ("env", po::value(&options.environment)->value_name("NAME=VALUE"),
       "set a variable for the payload; repeatable")  //
      ("config-env", po::value(&options.config_environment)->value_name("NAME=VALUE"),
       "set one of LISTEN_* for the payload as a container's configuration would, for descriptors that are "
       "passed by --preserve-fds; LISTEN_PID is corrected if need be. Repeatable")  //
      ("workdir", po::value(&options.workdir)->value_name("DIR"), "the payload's working directory");
  return own.add(isolation_options(isolation)).add(common_options());
}

}  // namespace

std::optional<ShimOptions> parse_shim_options(const std::vector<std::string>& words) {
  ShimOptions options;
  IsolationTexts isolation;
  const auto description = describe(options, isolation);
  const CommandLine command_line = parse_command_line(words, description);
  if (answered(command_line, Hop::runtime_shim, usage, description)) return std::nullopt;
  options.payload = command_line.rest;
  options.isolation = parse_isolation(isolation);
  check_range("--preserve-fds", options.preserve_fds, 0, most_preserved_fds);
  for (const std::string& assignment : options.environment) check_assignment("--env", assignment);
  for (const std::string& assignment : options.config_environment)
    check_announcement("--config-env", assignment);
  if (options.payload.empty()) throw Failure("no PAYLOAD to run; see --help");
  return options;
}

}  // namespace fdchain
