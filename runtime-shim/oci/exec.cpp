// One more process in a container: runtime-shim exec.

#include <sched.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/process_info.h"
#include "runtime-shim/oci/child_guard.h"
#include "runtime-shim/oci/console.h"
#include "runtime-shim/oci/create.h"
#include "runtime-shim/oci/fork.h"
#include "runtime-shim/oci/interruption.h"
#include "runtime-shim/oci/scope.h"
#include "runtime-shim/oci/store.h"
#include "runtime-shim/shared/attend.h"

namespace fdchain::oci {
namespace {

struct Kind {
  const char* name;
  int flag;
};
constexpr std::array kinds{Kind{"user", CLONE_NEWUSER},    Kind{"mnt", CLONE_NEWNS},
                           Kind{"pid", CLONE_NEWPID},      Kind{"net", CLONE_NEWNET},
                           Kind{"ipc", CLONE_NEWIPC},      Kind{"uts", CLONE_NEWUTS},
                           Kind{"cgroup", CLONE_NEWCGROUP}};

// The namespaces in which the container is and this process is not.
int namespaces_to_join(pid_t pid) {
  const auto theirs = proc::Process::find(pid);
  const auto ours = proc::Process::self();
  if (!theirs || !ours) fail(errno, "open", "the container's namespaces");
  int flags = 0;
  for (const Kind& kind : kinds) {
    const auto their_space = theirs->space(kind.name);
    if (!their_space) fail(errno, "stat", "the container's namespaces");
    if (their_space != ours->space(kind.name)) flags |= kind.flag;
  }
  return flags;
}

std::uint32_t parse_id(std::string_view option, std::string_view text) {
  const auto number = parse_decimal(text, greatest_id);
  if (!number)
    throw Failure(std::string(option) + ' ' + printable(text) +
                  ": uids and gids must be in range 0-2147483647");
  return static_cast<std::uint32_t>(*number);
}

void refuse_what_is_absent(const Command& command) {
  if (!command.apparmor.empty() || !command.process_label.empty() || !command.cgroup.empty())
    throw Failure("exec: --apparmor, --process-label and --cgroup are not carried out by this runtime");
}

// The file says it all; what else is said would have to be ignored.
void refuse_beside_file(const Command& command) {
  if (!command.args.empty() || !command.env.empty() || !command.cwd.empty() || !command.user.empty() ||
      !command.additional_gids.empty() || !command.capabilities.empty() || command.no_new_privileges)
    throw Failure(
        "exec: --process takes neither a PROGRAM nor --env, --cwd, --user, --additional-gids, --cap or "
        "--no-new-privs: its file says them");
}

void apply_options(const Command& command, Process& process) {
  process.args = command.args;
  if (process.args.empty()) throw Failure("exec: neither a PROGRAM nor --process is given");
  process.terminal = command.tty;
  process.console_size.reset();
  for (const std::string& assignment : command.env) {
    const std::size_t equals = assignment.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw Failure("--env " + printable(assignment) + ": not NAME=VALUE");
    Environment environment(process.env);
    environment.set(assignment.substr(0, equals), assignment.substr(equals + 1));
    process.env = environment.assignments();
  }
  if (!command.cwd.empty()) process.cwd = command.cwd;
  if (!process.cwd.starts_with('/'))
    throw Failure("--cwd " + printable(process.cwd) + ": not an absolute path");
  if (!command.user.empty()) {
    const std::size_t colon = command.user.find(':');
    process.user.uid = parse_id("--user", std::string_view(command.user).substr(0, colon));
    if (colon != std::string::npos)
      process.user.gid = parse_id("--user", std::string_view(command.user).substr(colon + 1));
  }
  for (const std::string& gid : command.additional_gids)
    process.user.additional_gids.push_back(parse_id("--additional-gids", gid));
  process.no_new_privileges |= command.no_new_privileges;
  if (command.capabilities.empty()) return;
  if (!process.capabilities) process.capabilities = Capabilities{};
  for (const std::string& name : command.capabilities) {
    for (auto* const set : {&process.capabilities->bounding, &process.capabilities->effective,
                            &process.capabilities->permitted})
      set->push_back(name);
    // As runc does: the kernel raises it if it is inheritable, too.
    if (!process.capabilities->inheritable.empty()) process.capabilities->ambient.push_back(name);
  }
}

Process wanted_process(const Command& command, const Config& config) {
  Process process;
  if (!command.process_file.empty()) {
    refuse_beside_file(command);
    process = decode_process(read_small_file(command.process_file, config_max, command.process_file),
                             command.process_file);
    process.terminal |= command.tty;
    // A file that says nothing of them means those of the container, to crun and runc, too.
    if (!process.capabilities && config.process) process.capabilities = config.process->capabilities;
  } else {
    if (config.process) process = *config.process;
    // The sockets are the first process's; here they are announced only with the descriptors.
    Environment environment(process.env);
    unset_listen_env(environment);
    process.env = environment.assignments();
    apply_options(command, process);
  }
  return process;
}

State state_to_join(const Entry& entry) {
  auto state = entry.state();
  const Status status = state ? status_of(entry, *state) : Status::creating;
  if (status != Status::running && status != Status::created)
    throw Failure("container " + entry.id() + ": it is " + std::string(to_string(status)) + ", not running");
  return std::move(*state);
}

// What the process is to be made with, but for what it talks through.
ExecParams exec_params(const Command& command, const Entry& entry, const Journal& journal) {
  ExecParams params;
  const Config config = decode_config(entry.read("config.json"), entry.path("config.json"));
  params.process = wanted_process(command, config);
  params.groups = wanted_groups(config.annotations);
  warn_of(check_scope(params.process, command), journal);
  return params;
}

}  // namespace

int exec(const Command& command, const Arrival& arrival, int preserved, const Journal& journal) {
  const Interruption interruption;
  refuse_what_is_absent(command);
  const Entry entry = Entry::at(state_root(command), command.id);
  const State state = state_to_join(entry);
  ExecParams params = exec_params(command, entry, journal);
  params.preserved = preserved;
  params.announced = announced_to_payload(arrival);
  Console console = open_console(command, params.process, !command.detach, interruption);
  params.console = std::move(console.theirs);
  if (console.ours) params.newlines = Newlines::plain;
  const OwnedFd first(check(open_pidfd(state.pid), "pidfd_open", command.id));
  const int joined = namespaces_to_join(state.pid);
  if (start_time_of(state.pid) != state.start_time)
    throw Failure("container " + command.id + ": it has stopped");
  const SignalFd signals = receive_signals_for_payload();
  SocketPair pair = make_socket_pair();
  params.pipe = std::move(pair.theirs);
  const auto enter = [&] {
    // All at once, and of that very process.
    if (joined != 0) check(::setns(first.get(), joined), "setns", "the container's namespaces");
  };
  const auto child_main = [&] { run_exec(params, (joined & CLONE_NEWUSER) != 0); };
  const pid_t pid = fork_by_helper(params.process, enter, 0, child_main, pair.ours, params.pipe);
  ChildGuard guard(pid, std::move(pair.ours), interruption);
  journal.debug("pid " + std::to_string(pid) + ": joins container " + command.id + ", pid " +
                std::to_string(state.pid));
  params.pipe.close();
  params.console.close();
  send(guard.pipe(), StageMessage::Kind::go);
  guard.receive(StageMessage::Kind::next_exec, journal);
  (void)guard.receive(journal);
  journal.debug("pid " + std::to_string(pid) + ": runs its program");
  write_pid_file(command, pid);
  (void)guard.release();
  if (command.detach) return 0;
  return console.ours ? pass_terminal_through(console.ours, pid, signals) : attend(pid, signals);
}

}  // namespace fdchain::oci
