#include "launcher/oci/plan.h"

#include <filesystem>

#include "fdchain/model/variables.h"
#include "fdchain/system/fs/files.h"
#include "launcher/oci/config.h"

namespace fdchain {
namespace {

namespace fs = std::filesystem;

// CRI-O leaves it to LISTEN_* and the runtime.
bool is_cri_o(const ContainerRun& run) {
  const Profile* const profile = run.options.profiles.of(Hop::launcher);
  return profile != nullptr && profile->name == "cri-o";
}

}  // namespace

bool runs_crun(const ContainerRun& run) { return fs::path(run.runtime).filename() == "crun"; }

std::vector<std::string> runtime_words(const ContainerRun& run) {
  std::vector<std::string> words{"--root", run.place.state()};
  // No limits are asked for, and crun would want a manager of cgroups to talk to.
  if (runs_crun(run)) words.emplace_back("--cgroup-manager=disabled");
  return words;
}

std::optional<std::string> notify_socket_of(const ContainerRun& run) {
  const auto socket = run.environment.get(notify_socket_name);
  if (!socket || run.options.sdnotify != SdNotify::container) return std::nullopt;
  return std::string(*socket);
}

oci::Config config_of(const ContainerRun& run) {
  ContainerFacts facts;
  const std::string& rootfs = run.options.isolation.rootfs;
  facts.root = rootfs.empty() ? run.place.root() : rootfs;
  if (run.socket_count() > 0 && !is_cri_o(run)) {
    Environment announced;
    announce(announced, run.socket_count(), all_fdnames(run.options, run.inherited));
    announced.set(listen_pid_name, "1");  // process 1 of its namespace; a runtime without one may know better
    facts.announcement = announced.assignments();
  }
  if (notify_socket_of(run)) {
    // The monitor listens there, and forwards.
    facts.notify_socket = rootfs.empty() ? run.place.notify() + "/notify.sock" : "/run/notify/notify.sock";
    if (!rootfs.empty()) facts.notify_directory = run.place.notify();
  }
  return container_config(run.options, facts);
}

ConmonOptions conmon_options(const ContainerRun& run, std::vector<std::string> exit_command_args) {
  ConmonOptions options;
  options.api_version = true;
  options.cid = options.cuuid = run.id;
  options.name = run.options.name.empty() ? run.id : run.options.name;
  options.runtime = run.runtime;
  options.bundle = run.place.bundle();
  options.container_pidfile = run.place.pidfile();
  options.conmon_pidfile = run.place.monitor_pidfile();
  options.exit_dir = run.place.exits();
  options.full_attach = true;
  options.runtime_args = runtime_words(run);
  options.runtime_args.insert(options.runtime_args.end(),
                              {"--log-format=json", "--log", run.place.runtime_log()});
  options.log_paths = {to_string(run.options.log)};
  if (run.options.timeout > 0) options.timeout = run.options.timeout;
  if (const auto socket = notify_socket_of(run)) options.sdnotify_socket = *socket;
  const int passed = run.kept_end - listen_fds_start + static_cast<int>(run.options.listen.size());
  options.replace_listen_pid = is_cri_o(run);
  if (passed > 0 && !is_cri_o(run)) options.runtime_opts = {"--preserve-fds", std::to_string(passed)};
  options.exit_command = find_own_program("launcher");
  options.exit_command_args = std::move(exit_command_args);
  return options;
}

HopPlan plan_conmon(const ContainerRun& run, const Handles& handles,
                    std::vector<std::string> exit_command_args) {
  MonitorStart monitor = plan_monitor_start(run.options, run.environment, run.inherited, handles);
  monitor.command = encode(conmon_options(run, std::move(exit_command_args)));
  monitor.command.insert(monitor.command.begin(), run.monitor);
  HopPlan plan{hand_over_to_conmon(monitor), ideal_conduct(Hop::launcher)};
  // What a profile makes of an announcement it cannot make of none.
  if (run.options.profiles.of(Hop::launcher) != nullptr)
    announce(plan.next.environment, run.socket_count(), all_fdnames(run.options, run.inherited));
  return plan;
}

}  // namespace fdchain
