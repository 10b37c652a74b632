#include "runtime-shim/oci/manage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <set>

#include "fdchain/model/capability.h"
#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/plan/mount_options.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/process_info.h"
#include "runtime-shim/oci/hooks.h"
#include "runtime-shim/oci/remove.h"
#include "runtime-shim/oci/store.h"

namespace fdchain::oci {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

void print(const std::string& text) { write_all_patiently(STDOUT_FILENO, text, "stdout"); }

State finished_state(const Entry& entry) {
  auto state = entry.state();
  if (!state)
    throw Failure("container " + entry.id() + ": it is not made yet, or its maker has died; delete it");
  return std::move(*state);
}

/// A process that is one and the same as long as this lives, whoever gets its number later.
class PinnedProcess {
 public:
  explicit PinnedProcess(const State& state) : pidfd_(open_pidfd(state.pid)) {
    // Only now is the number certain: looked at before, it could have changed hands meanwhile.
    if (pidfd_ && start_time_of(state.pid) != state.start_time) pidfd_.close();
  }
  explicit operator bool() const { return static_cast<bool>(pidfd_); }

  [[nodiscard]] int signal(int number) const { return signal_pidfd(pidfd_.get(), number); }

  void wait_for_end() const { (void)is_readable(pidfd_.get(), no_deadline); }

 private:
  OwnedFd pidfd_;
};

std::optional<proc::NamespaceId> pid_namespace_of(const std::optional<proc::Process>& process) {
  return process ? process->space("pid") : std::nullopt;
}

std::optional<proc::NamespaceId> pid_namespace_of(pid_t pid) {
  return pid_namespace_of(proc::Process::find(pid));
}

// Every process in the pid namespace of `first`; itself alone when that is this process's own, too.
std::vector<pid_t> processes_with(pid_t first) {
  const auto wanted = pid_namespace_of(first);
  if (!wanted || wanted == pid_namespace_of(proc::Process::self())) return {first};
  std::vector<pid_t> found = proc::all_processes();
  std::erase_if(found, [&](pid_t pid) { return pid_namespace_of(pid) != wanted; });
  return found;
}

// Each of them once, and those that they make meanwhile. The namespace is looked at when the process is held:
// its number may have changed hands since the list was made.
int signal_everybody(pid_t first, const proc::NamespaceId& space, int number, const Journal& journal) {
  constexpr int most_rounds = 100;
  std::set<std::pair<pid_t, std::optional<std::uint64_t>>> done;
  for (int round = 0; round < most_rounds; ++round) {
    bool anybody = false;
    for (const pid_t pid : processes_with(first)) {
      const OwnedFd pidfd(open_pidfd(pid));
      if (!pidfd || pid_namespace_of(pid) != space) continue;
      if (!done.emplace(pid, start_time_of(pid)).second) continue;
      (void)signal_pidfd(pidfd.get(), number);
      anybody = true;
    }
    if (!anybody) return 0;
  }
  journal.warning("kill --all: new processes keep coming");
  return 0;
}

std::string pad(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

}  // namespace

void end_container(const State& state) {
  const PinnedProcess process(state);
  if (!process) return;
  (void)process.signal(SIGKILL);
  process.wait_for_end();
}

namespace {

void run_poststop_hooks(const Config& config, const State& state, const Journal& journal) {
  if (config.hooks.poststop.empty()) return;
  const std::string text = describe(state, Status::stopped, false);
  const HookFiles files = open_hook_files(config);
  // Each of them, whatever becomes of the others.
  for (const Hook& hook : config.hooks.poststop) {
    try {
      run_hooks({hook}, {"poststop", text, files, environment_for_hooks()});
    } catch (const std::exception& error) {
      journal.warning(error.what());
    }
  }
}

}  // namespace

bool forget_container(const Entry& entry, const Journal& journal) {
  try {
    const auto state = entry.state();
    if (state) {
      const Config config = decode_config(entry.read("config.json"), entry.path("config.json"));
      run_poststop_hooks(config, *state, journal);
    }
  } catch (const std::exception& error) {
    journal.warning(error.what());
  }
  return entry.remove();
}

int print_state(const Command& command) {
  const Entry entry = Entry::at(state_root(command), command.id);
  const State state = finished_state(entry);
  print(describe(state, status_of(entry, state), true));
  return 0;
}

int send_signal(const Command& command, const Journal& journal) {
  const auto number = parse_signal(command.signal);
  if (!number) throw Failure("kill: " + printable(command.signal) + ": not a signal");
  const Entry entry = Entry::at(state_root(command), command.id);
  const State state = finished_state(entry);
  const PinnedProcess process(state);
  // Of a container that has ended, nobody is everybody.
  if (!process && command.all) return 0;
  if (!process) throw Failure("container " + command.id + ": it is stopped: No such process");
  if (command.all) {
    const auto space = pid_namespace_of(state.pid);
    if (space && space != pid_namespace_of(proc::Process::self()))
      return signal_everybody(state.pid, *space, *number, journal);
    journal.warning("kill --all: container " + command.id +
                    " has no pid namespace of its own; its first process alone is meant");
  }
  check(process.signal(*number), "kill", command.id);
  journal.debug("pid " + std::to_string(state.pid) + ": sent signal " + std::to_string(*number));
  return 0;
}

namespace {

// False when nobody can tell which process is the container's: with --force its files go all the same.
bool end_before_removal(const Entry& entry, const Command& command, const Journal& journal) {
  std::optional<State> state;
  try {
    state = entry.state();
  } catch (const std::exception& error) {
    if (!command.force) throw;
    journal.warning(std::string(error.what()) + "; deleted, and a process that it may have is left alone");
    return false;
  }
  if (!state) return true;
  const Status status = status_of(entry, *state);
  if (status == Status::running && !command.force)
    throw Failure("container " + command.id + ": it is running; kill it first, or use --force");
  if (status != Status::stopped) end_container(*state);
  return true;
}

}  // namespace

int remove(const Command& command, const Journal& journal) {
  const auto entry = Entry::find(state_root(command), command.id);
  if (!entry) {
    if (command.force) return 0;
    throw Failure("container " + command.id + ": it does not exist");
  }
  if (!entry->lock()) {
    if (command.force) return 0;
    throw Failure("container " + command.id + ": it has been deleted");
  }
  const bool is_known = end_before_removal(*entry, command, journal);
  if (!(is_known ? forget_container(*entry, journal) : entry->remove()))
    throw Failure("container " + command.id + ": " + printable(entry->path("")) +
                  " has something in it that is not this runtime's, and stays");
  journal.debug("container " + command.id + ": deleted");
  return 0;
}

namespace {

/// A container as `list` shows it; nothing while it is being made, or when it goes.
struct ListedContainer {
  State state;
  Status status;
};

// One that cannot be read must not hide the others.
std::optional<ListedContainer> look_at(const std::string& root, const std::string& id,
                                       const Journal& journal) try {
  const auto entry = Entry::find(root, id);
  auto state = entry ? entry->state() : std::nullopt;
  if (!state) return std::nullopt;
  const Status status = status_of(*entry, *state);
  return ListedContainer{std::move(*state), status};
} catch (const std::exception& error) {
  journal.warning("container " + id + ": not listed: " + error.what());
  return std::nullopt;
}

}  // namespace

int list(const Command& command, const Journal& journal) {
  const std::string root = state_root(command);
  std::string text;
  json::array all;
  if (!command.quiet)
    text =
        pad("ID", 20) + pad("PID", 9) + pad("STATUS", 9) + pad("BUNDLE", 40) + pad("CREATED", 29) + "OWNER\n";
  for (const std::string& id : all_ids(root)) {
    const auto listed = look_at(root, id, journal);
    if (!listed) continue;
    const auto& [state, status] = *listed;
    if (command.format == "json") {
      all.push_back(json::parse(describe(state, status, false)));
    } else if (command.quiet) {
      text += id + '\n';
    } else {
      text += pad(id, 20) + pad(std::to_string(status == Status::stopped ? 0 : state.pid), 9) +
              pad(std::string(to_string(status)), 9) + pad(printable(state.bundle), 40) +
              pad(state.created, 29) + state.owner + '\n';
    }
  }
  print(command.format == "json" && !command.quiet ? json::serialize(all) + '\n' : text);
  return 0;
}

int print_processes(const Command& command) {
  const Entry entry = Entry::at(state_root(command), command.id);
  const State state = finished_state(entry);
  if (status_of(entry, state) == Status::stopped)
    throw Failure("container " + command.id + ": it is stopped");
  json::array pids;
  std::string table = "PID\n";
  for (const pid_t pid : processes_with(state.pid)) {
    pids.push_back(pid);
    table += std::to_string(pid) + '\n';
  }
  print(command.format == "json" ? json::serialize(pids) + '\n' : table);
  return 0;
}

int print_features() {
  const auto names = [](const auto& list) {
    json::array array;
    for (const auto& name : list) array.push_back(json::value(std::string_view(name)));
    return array;
  };
  const std::vector<std::string> hooks{"prestart",       "createRuntime", "createContainer",
                                       "startContainer", "poststart",     "poststop"};
  const std::vector<std::string> namespaces{"cgroup", "ipc", "mount", "network", "pid", "user", "uts"};
  const json::object none{{"enabled", false}};
  const json::object features{
      {"ociVersionMin", "1.0.0"},
      {"ociVersionMax", specification},
      {"hooks", names(hooks)},
      {"mountOptions", names(known_mount_options())},
      {"linux",
       json::object{
           {"namespaces", names(namespaces)},
           {"capabilities", names(capability_names)},
           {"cgroup", json::object{{"v1", false}, {"v2", false}, {"systemd", false}, {"systemdUser", false}}},
           {"seccomp", none},
           {"apparmor", none},
           {"selinux", none}}},
      {"annotations", json::object{{"io.fdchain.version", FDCHAIN_VERSION}}}};
  print(json::serialize(features) + '\n');
  return 0;
}

}  // namespace fdchain::oci
