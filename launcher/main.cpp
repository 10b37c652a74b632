// The launcher, podman's part of the chain, and the user's front end.

#include "fdchain/model/failure.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/system/trace/arrival.h"
#include "launcher/accept/connections.h"
#include "launcher/native/dry_run.h"
#include "launcher/native/run.h"
#include "launcher/oci/clean_up.h"
#include "launcher/oci/container.h"
#include "launcher/oci/dialect.h"
#include "launcher/oci/dry_run.h"
#include "launcher/report/diagnose.h"
#include "launcher/report/generate.h"
#include "launcher/report/list_faults.h"
#include "launcher/report/list_profiles.h"
#include "launcher/shared/activator.h"
#include "launcher/shared/commands.h"
#include "launcher/shared/dry_run.h"
#include "launcher/shared/options.h"
#include "launcher/shared/run.h"
#include "launcher/trace/trace.h"

namespace fdchain {
namespace {

int run_or_plan(std::vector<std::string> words, Arrival arrival) {
  const bool dry = !words.empty() && words.front() == "dry-run";
  const bool named = !words.empty() && (words.front() == "run" || dry);
  if (!named) check_first_word(words, arrival.environment);
  const Purpose purpose = dry ? Purpose::dry_run : named ? Purpose::run : Purpose::unnamed;
  auto options = parse_run_options({words.begin() + (named ? 1 : 0), words.end()}, purpose);
  if (!options) return 0;
  const bool per_connection = wants_run_per_connection(*options, arrival);
  if (per_connection && dry) throw Failure("dry-run with accept: each connection has a plan of its own");
  if (per_connection) return serve_connections(*options, arrival);
  choose_dialect(*options, arrival.environment);
  const bool oci = options->dialect == Dialect::oci;
  if (dry) return dry_run(*options, arrival, oci ? plan_container : plan_chain), 0;
  commit_activator_faults(*options, arrival, words);
  return run_chain(*options, std::move(arrival), oci ? run_container : run_hops);
}

}  // namespace
}  // namespace fdchain

int main(int argc, char** argv) {
  using namespace fdchain;
  return guarded(Hop::launcher, [&] {
    std::vector<std::string> words(argv + 1, argv + argc);
    Arrival arrival = arrive(Hop::launcher, is_observed() || may_observe(words));
    checkpoint(arrival.environment, Hop::launcher, Moment::arrival);
    log::start(Hop::launcher);
    const std::string command = words.empty() ? "" : words.front();
    const std::vector<std::string> rest(words.begin() + (words.empty() ? 0 : 1), words.end());
    if (command == "generate") return generate(rest);
    if (command == "diagnose") return diagnose(rest);
    if (command == "report") return report(rest);
    if (command == "faults") return list_faults(rest);
    if (command == "clean-up-container") return clean_up_container(rest);
    if (command == "profiles") return list_profiles(rest);
    if (command == "trace") return trace(rest, std::move(arrival));
    return run_or_plan(words, std::move(arrival));
  });
}
