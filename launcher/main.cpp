// The launcher, podman's part of the chain, and the user's front end.

#include "fdchain/model/failure.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/system/arrival.h"
#include "launcher/activator.h"
#include "launcher/commands.h"
#include "launcher/connections.h"
#include "launcher/container/clean_up.h"
#include "launcher/container/dialect.h"
#include "launcher/diagnose.h"
#include "launcher/dry_run.h"
#include "launcher/generate.h"
#include "launcher/list_faults.h"
#include "launcher/list_profiles.h"
#include "launcher/options.h"
#include "launcher/run.h"
#include "launcher/trace.h"

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
  if (dry) return dry_run(*options, arrival), 0;
  commit_activator_faults(*options, arrival, words);
  return run_chain(*options, std::move(arrival));
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
