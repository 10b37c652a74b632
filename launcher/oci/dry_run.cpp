#include "launcher/oci/dry_run.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/protocol/oci_config.h"
#include "launcher/oci/plan.h"

namespace fdchain {
namespace {

namespace json = boost::json;

json::array json_words(const std::vector<std::string>& words) {
  return json::array(words.begin(), words.end());
}

// With a stand-in for the directory that a run makes for itself.
ContainerRun container_run(const RunOptions& options, const DryRun& run) {
  return {options,
          run.arrival().environment,
          run.accepted().sockets,
          run.accepted().kept_end,
          {"/tmp/fdchain-XXXXXX"},
          "fdchain-XXXXXX",
          options.monitor,
          options.runtime};
}

void add_hops(DryRun& run, const ContainerRun& container) {
  const ConmonOptions monitor = conmon_options(container, {"clean-up-container"});
  std::vector<std::string> told = encode(monitor);
  told.insert(told.begin(), container.monitor);
  run.add_told("monitor\n  is told: " + join_printable(told) + "\n\n",
               {{"hop", "monitor"}, {"told", json_words(told)}});
  const auto create = runtime_command(monitor, container.place.bundle(), container.place.pidfile(), "");
  std::vector<std::string> start{container.runtime};
  for (const std::string& word : runtime_words(container)) start.push_back(word);
  start.insert(start.end(), {"start", container.id});
  const std::string config = oci::encode(config_of(container));
  run.add_told(fmt::format("runtime-shim\n  is told: {}\n  and then: {}\n  config.json: {}\n",
                           join_printable(create), join_printable(start), config),
               {{"hop", "runtime-shim"},
                {"told", json_words(create)},
                {"then_told", json_words(start)},
                {"config", json::parse(config)}});
}

}  // namespace

void plan_container(DryRun& run) {
  RunOptions as_read = run.options();
  as_read.preserve_fds = run.accepted().preserved;
  HopContext context = run.launcher_context();
  run.add(plan_conmon(container_run(as_read, run), run.handles(), {"clean-up-container"}),
          run.options().profiles.of(Hop::launcher), context);
  add_hops(run, container_run(run.options(), run));
}

}  // namespace fdchain
