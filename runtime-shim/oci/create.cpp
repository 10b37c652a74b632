#include "runtime-shim/oci/create.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/plan/bundle_paths.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/process_info.h"
#include "runtime-shim/oci/child_guard.h"
#include "runtime-shim/oci/clock.h"
#include "runtime-shim/oci/console.h"
#include "runtime-shim/oci/fork.h"
#include "runtime-shim/oci/hooks.h"
#include "runtime-shim/oci/interruption.h"
#include "runtime-shim/oci/passwd.h"
#include "runtime-shim/oci/remove.h"
#include "runtime-shim/oci/scope.h"
#include "runtime-shim/oci/store.h"
#include "runtime-shim/shared/attend.h"

namespace fdchain::oci {
namespace {

std::string canonical(const std::string& path, const std::string& subject) {
  std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr), std::free);
  if (!resolved) fail(errno, subject, path);
  return resolved.get();
}

struct Bundle {
  std::string path;
  std::string text;  ///< of its config.json
  Config config;
  std::string root;
};

Bundle read_bundle(const Command& command) {
  Bundle bundle;
  bundle.path = canonical(command.bundle, "--bundle");
  const std::string path = path_in_bundle(bundle.path, command.config_file);
  bundle.text = read_small_file(path, config_max, path);
  bundle.config = decode_config(bundle.text, path);
  resolve_bind_sources(bundle.config.mounts, bundle.path);
  const std::string root = path_in_bundle(bundle.path, bundle.config.root.path);
  bundle.root = canonical(root, "root.path");
  if (link_leads_out(bundle.path, root, bundle.root))
    throw Failure("root.path: " + printable(root) + ": a symbolic link leads out of the bundle, to " +
                  printable(bundle.root));
  check(::access((bundle.root + "/.").c_str(), X_OK), "root.path", bundle.root);
  if (bundle.root == "/") throw Failure("root.path: /: the host's own root cannot be a container's");
  return bundle;
}

std::string own_name() {
  const auto user = look_up_user(::geteuid());
  return user ? user->name : std::to_string(::geteuid());
}

// The namespaces of config.json, sorted by when they have to be entered.
struct NamespacePlan {
  std::vector<Joined> by_helper;  ///< user and pid, which exist
  int by_clone = 0;               ///< user and pid, new
};

// A path may lead to the very namespace that the runtime is in.
bool is_of_runtime(const OwnedFd& fd, const std::string& type) {
  struct stat status {};
  check(::fstat(fd.get(), &status), "fstat", "linux.namespaces: " + type);
  const auto self = proc::Process::self();
  const auto ours = self ? self->space(type == "network" ? "net"
                                       : type == "mount" ? "mnt"
                                                         : type)
                         : std::nullopt;
  return ours == proc::NamespaceId{status.st_dev, status.st_ino};
}

NamespacePlan open_namespaces(const Config& config, InitParams& params) {
  NamespacePlan plan;
  for (const Namespace& each : config.linux_.namespaces) {
    const int kind = namespace_flag(each.type);
    const bool early = kind == CLONE_NEWUSER || kind == CLONE_NEWPID;
    if (kind == CLONE_NEWUSER) params.in_user_namespace = true;
    if (each.path.empty()) {
      params.own_namespaces.push_back(each.type);
      (early ? plan.by_clone : params.new_namespaces) |= kind;
      if (kind == CLONE_NEWUSER) params.makes_users = true;
      continue;
    }
    // Not waiting for the writer of a FIFO.
    OwnedFd fd(check(::open(each.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK),
                     "linux.namespaces: " + each.type, each.path));
    if (!is_of_runtime(fd, each.type)) params.own_namespaces.push_back(each.type);
    auto& list = early ? plan.by_helper : params.joined;
    // The user namespace first: it permits the others.
    list.insert(kind == CLONE_NEWUSER ? list.begin() : list.end(), Joined{kind, std::move(fd)});
  }
  return plan;
}

void enter(const std::vector<Joined>& namespaces) {
  for (const Joined& each : namespaces) check(::setns(each.fd.get(), each.kind), "linux.namespaces: setns");
}

State state_of(const Bundle& bundle, const std::string& id, pid_t pid) {
  const auto start = start_time_of(pid);
  if (!start) throw Failure("the container's process died before it became the payload");
  return {id,          pid,
          *start,      bundle.path,
          bundle.root, utc_now(Precision::microseconds),
          own_name(),  bundle.config.annotations};
}

/// Removes what a failed creation leaves.
class Cleanup {
 public:
  Cleanup(const Entry& entry, std::string pid_file) : entry_(entry), pid_file_(std::move(pid_file)) {}
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  ~Cleanup() {
    if (done_) return;
    if (wrote_pid_file_) ::unlink(pid_file_.c_str());
    entry_.remove();
  }
  void pid_file_written() { wrote_pid_file_ = true; }
  void done() { done_ = true; }

 private:
  const Entry& entry_;
  std::string pid_file_;
  bool wrote_pid_file_ = false;
  bool done_ = false;
};

InitParams init_params(const Command& command, const Bundle& bundle, const Arrival& arrival, int preserved) {
  InitParams params;
  params.config = bundle.config;
  if (!bundle.config.process) throw Failure("config.json: process: missing");
  params.process = *bundle.config.process;
  params.groups = wanted_groups(params.config.annotations);
  params.preserved = preserved;
  params.announced = announced_to_payload(arrival);
  params.id = command.id;
  params.root = bundle.root;
  params.hook_files = open_hook_files(params.config);
  params.no_pivot = command.no_pivot;
  params.no_new_keyring = command.no_new_keyring;
  return params;
}

pid_t fork_init(InitParams& params, const NamespacePlan& plan, OwnedFd& ours) {
  const auto child_main = [&] { run_init(params); };
  if (plan.by_helper.empty()) return fork_into(plan.by_clone, child_main);
  return fork_by_helper(
      params.process, [&] { enter(plan.by_helper); }, plan.by_clone, child_main, ours, params.pipe);
}

// From the fork to the moment when the container waits for its start.
void bring_up(const ChildGuard& guard, const InitParams& params, const Bundle& bundle, const Entry& entry,
              const Command& command, Cleanup& cleanup, const Journal& journal,
              const Interruption& interruption) {
  const pid_t pid = guard.pid();
  if (params.makes_users) map_users(pid, bundle.config.linux_);
  send(guard.pipe(), StageMessage::Kind::go);
  StageMessage message = guard.receive(journal);
  if (message.kind == StageMessage::Kind::namespaces) {
    const State state{command.id, pid, 0, bundle.path, bundle.root, "", "", bundle.config.annotations};
    const std::string text = describe(state, Status::creating, false);
    const auto run_outside = [&](const std::vector<Hook>& hooks, std::string_view kind) {
      run_hooks(hooks, {kind, text, params.hook_files, environment_for_hooks()}, &interruption);
    };
    journal.debug("pid " + std::to_string(pid) + ": its namespaces are there; hooks run");
    run_outside(bundle.config.hooks.prestart, "prestart");
    run_outside(bundle.config.hooks.create_runtime, "createRuntime");
    write_all(params.state.get(), text, "the state");
    send(guard.pipe(), StageMessage::Kind::go);
    message = guard.receive(journal);
  }
  if (message.kind != StageMessage::Kind::ready)
    throw Failure("the container's process died before it became the payload");
  entry.write("state.json", encode(state_of(bundle, command.id, pid)));
  write_pid_file(command, pid);
  cleanup.pid_file_written();
  journal.debug("pid " + std::to_string(pid) + ": ready");
}

OwnedFd make_fifo(const Entry& entry) {
  check(::mkfifo(entry.fifo().c_str(), 0600), "mkfifo", entry.fifo());
  return OwnedFd(check(::open(entry.fifo().c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC), "open", entry.fifo()));
}

void run_poststart_hooks(const Config& config, const State& state, const Interruption* interruption) {
  if (config.hooks.poststart.empty()) return;
  run_hooks(config.hooks.poststart,
            {"poststart", describe(state, Status::running, false), open_hook_files(config),
             environment_for_hooks()},
            interruption);
}

// The one byte on which a created container waits.
void let_go(const Entry& entry, const std::string& id) {
  const OwnedFd fifo(::open(entry.fifo().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fifo && errno != ENXIO) fail(errno, "open", entry.path("exec.fifo"));
  // Gone first: who comes second must not find it.
  check(::unlink(entry.fifo().c_str()), "unlink", entry.path("exec.fifo"));
  const WriteSignalsHeld held;
  const bool told = fifo && retry([&] { return ::write(fifo.get(), "", 1); }) == 1;
  if (told) return;
  if (fifo && errno != EPIPE) fail(errno, "write", entry.path("exec.fifo"));
  // Nobody has the other end open any more: killed since it was looked at.
  throw Failure("container " + id + ": it has stopped: No such process");
}

/// The part of create and run that is the same.
struct MadeContainer {
  Entry entry;
  Bundle bundle;
  pid_t pid = 0;
  OwnedFd pipe;
  Console console;
};

MadeContainer make_container(const Command& command, const Arrival& arrival, int preserved,
                             const Journal& journal, const Interruption& interruption, bool with_fifo) {
  // Before anything is read in its name.
  check_id(command.id);
  Bundle bundle = read_bundle(command);
  journal.debug("bundle " + bundle.path + ", root file system " + bundle.root);
  warn_of(check_scope(bundle.config, command), journal);
  InitParams params = init_params(command, bundle, arrival, preserved);
  Console console = open_console(command, params.process, !with_fifo && !command.detach, interruption);
  params.console = std::move(console.theirs);
  if (console.ours) params.newlines = Newlines::plain;
  const NamespacePlan plan = open_namespaces(bundle.config, params);
  check_names(bundle.config, params.own_namespaces);
  const std::string root = state_root(command);
  Entry entry = Entry::make(root, command.id);
  Cleanup cleanup(entry, command.pid_file);
  entry.write("config.json", bundle.text);
  if (with_fifo) params.fifo = make_fifo(entry);
  params.state = OwnedFd(check(::memfd_create("state", MFD_CLOEXEC), "memfd_create"));
  SocketPair pair = make_socket_pair();
  params.pipe = std::move(pair.theirs);
  const pid_t pid = fork_init(params, plan, pair.ours);
  ChildGuard guard(pid, std::move(pair.ours), interruption);
  journal.debug("pid " + std::to_string(pid) + ": the container's first process");
  if (plan.by_helper.empty()) favour(pid, params.process);
  params.pipe.close();
  params.console.close();
  params.fifo.close();
  bring_up(guard, params, bundle, entry, command, cleanup, journal, interruption);
  send(guard.pipe(), StageMessage::Kind::go);
  cleanup.done();
  return {std::move(entry), std::move(bundle), pid, guard.release(), std::move(console)};
}

}  // namespace

int accept_preserved(const Arrival& arrival, const Command& command, const Journal& journal) {
  int count = command.preserve_fds;
  if (const auto* const env = std::get_if<ListenEnv>(&arrival.listen)) {
    if (arrival.missing)
      throw Failure("LISTEN_FDS=" + std::to_string(env->count) + ": descriptor " +
                    std::to_string(*arrival.missing) + " is not open");
    count = std::max(count, env->count);
  } else {
    const auto& problem = std::get<ListenProblem>(arrival.listen);
    if (problem.kind == ListenProblem::Kind::malformed || problem.kind == ListenProblem::Kind::names_count)
      throw Failure(problem.text);
    if (problem.kind == ListenProblem::Kind::ignored) journal.debug(problem.text);
  }
  for (int fd = listen_fds_start; fd < listen_fds_start + command.preserve_fds; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0)
      throw Failure("--preserve-fds " + std::to_string(command.preserve_fds) + ": descriptor " +
                    std::to_string(fd) + " is not open");
  }
  return count;
}

int create(const Command& command, const Arrival& arrival, int preserved, const Journal& journal) {
  const Interruption interruption;
  const MadeContainer made = make_container(command, arrival, preserved, journal, interruption, true);
  // Until it has let go of its end: what is created holds nothing of ours but the FIFO.
  (void)receive(made.pipe);
  return 0;
}

int run(const Command& command, const Arrival& arrival, int preserved, const Journal& journal) {
  const Interruption interruption;
  const SignalFd signals = receive_signals_for_payload();
  MadeContainer made = make_container(command, arrival, preserved, journal, interruption, false);
  ChildGuard guard(made.pid, std::move(made.pipe), interruption);
  const auto forget = [&] { forget_container(made.entry, journal); };
  try {
    guard.receive(StageMessage::Kind::next_exec, journal);
    // Its exec closes the pipe; a failure comes on it.
    (void)guard.receive(journal);
    run_poststart_hooks(made.bundle.config, *made.entry.state(), &interruption);
  } catch (...) {
    (void)guard.release();
    end_child(made.pid);
    forget();
    if (!command.pid_file.empty()) ::unlink(command.pid_file.c_str());
    throw;
  }
  (void)guard.release();
  journal.debug("pid " + std::to_string(made.pid) + ": runs its program");
  if (command.detach) return 0;
  // It is everybody's to kill and delete now.
  made.entry.unlock();
  const int status = made.console.ours ? pass_terminal_through(made.console.ours, made.pid, signals)
                                       : attend(made.pid, signals);
  journal.debug("pid " + std::to_string(made.pid) + ": ended, status " + std::to_string(status));
  if (!command.keep && made.entry.lock()) forget();
  return status;
}

int start(const Command& command, const Journal& journal) {
  const Entry entry = Entry::at(state_root(command), command.id);
  if (!entry.lock()) throw Failure("container " + command.id + ": it has been deleted");
  const auto state = entry.state();
  const Status status = state ? status_of(entry, *state) : Status::creating;
  if (status != Status::created)
    throw Failure("container " + command.id + ": it is " + std::string(to_string(status)) + ", not created");
  const Config config = decode_config(entry.read("config.json"), entry.path("config.json"));
  let_go(entry, command.id);
  journal.debug("pid " + std::to_string(state->pid) + ": told to run its program");
  try {
    run_poststart_hooks(config, *state, nullptr);
  } catch (...) {
    end_container(*state);
    forget_container(entry, journal);
    throw;
  }
  return 0;
}

}  // namespace fdchain::oci
