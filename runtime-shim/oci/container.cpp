#include "runtime-shim/oci/container.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <cstring>
#include <limits>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/plan/hand_over.h"
#include "fdchain/program/guard.h"
#include "fdchain/system/exec/exec_image.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/fs/namespaces.h"
#include "fdchain/system/proc/self.h"
#include "fdchain/system/trace/arrival.h"
#include "runtime-shim/oci/console.h"
#include "runtime-shim/oci/enter_root.h"
#include "runtime-shim/oci/hooks.h"
#include "runtime-shim/oci/mounts.h"
#include "runtime-shim/oci/passwd.h"
#include "runtime-shim/oci/privileges.h"

namespace fdchain::oci {
namespace {

// A container's program starts with nothing of what conmon or we have done with signals.
void reset_signals() {
  for (int number = 1; number <= SIGRTMAX; ++number) {
    if (number != SIGKILL && number != SIGSTOP) ::signal(number, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_all(unsigned first, unsigned last) { check(::close_range(first, last, 0), "close_range"); }

// Of all that the runtime holds, what this process needs is kept: a descriptor of the host's that stayed open
// would be a way out (CVE-2024-21626), and the lock on the container's directory would stay taken. What is
// kept goes with the exec, but for stdio and what is passed on.
void close_all_but(std::vector<int> kept, int preserved) {
  std::ranges::sort(kept);
  int from = listen_fds_start + preserved;
  // No help from /proc, as elsewhere: a process that joins a container would ask the container's.
  check(::close_range(static_cast<unsigned>(from), ~0U, static_cast<int>(CLOSE_RANGE_CLOEXEC)),
        "close_range");
  for (const int fd : kept) {
    if (fd > from) close_all(static_cast<unsigned>(from), static_cast<unsigned>(fd - 1));
    from = std::max(from, fd + 1);
  }
  close_all(static_cast<unsigned>(from), ~0U);
}

std::vector<int> needed_by(const ExecParams& params) { return {params.pipe.get(), params.console.get()}; }

std::vector<int> needed_by(const InitParams& params) {
  std::vector<int> kept{params.pipe.get(),  params.console.get(),        params.fifo.get(),
                        params.state.get(), params.hook_files.out.get(), params.hook_files.err.get()};
  for (const Joined& each : params.joined) kept.push_back(each.fd.get());
  return kept;
}

void become_root_of_user_namespace() {
  // As far as there is one: the files of an ordinary user's namespace belong to its 0.
  (void)!::setresgid(0, 0, 0);
  (void)!::setresuid(0, 0, 0);
}

void join(const std::vector<Joined>& namespaces) {
  for (const Joined& each : namespaces) check(::setns(each.fd.get(), each.kind), "setns");
}

void leave_host(int new_namespaces) {
  const int network = new_namespaces & CLONE_NEWNET;
  if (network != 0) enter_network_namespace();
  const int rest = new_namespaces & ~network;
  if (rest != 0) check(::unshare(rest), "unshare");
}

void set_names(const Config& config) {
  if (!config.hostname.empty())
    check(::sethostname(config.hostname.data(), config.hostname.size()), "hostname", config.hostname);
  if (!config.domainname.empty())
    check(::setdomainname(config.domainname.data(), config.domainname.size()), "domainname",
          config.domainname);
}

void new_keyring(const std::string& id) {
  const std::string name = "_ses." + id;
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.c_str()) >= 0) return;
  // A kernel without keys, or one that has no more to give to this user: nothing to share then.
  if (errno != ENOSYS && errno != EDQUOT && errno != EPERM) fail(errno, "keyctl");
}

// The host's /dev/null is a descriptor of the host's; the container has one of its own.
void reopen_null() {
  for (int fd = 0; fd <= 2; ++fd) {
    struct stat status {};
    if (::fstat(fd, &status) < 0 || !S_ISCHR(status.st_mode) || status.st_rdev != ::makedev(1, 3)) continue;
    const OwnedFd own(::open("/dev/null", O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    struct stat found {};
    if (!own || ::fstat(own.get(), &found) < 0 || !S_ISCHR(found.st_mode) || found.st_rdev != status.st_rdev)
      continue;
    check(::dup2(own.get(), fd), "dup2");
  }
}

// CVE-2024-21626: a descriptor of the host's that was left open makes a working directory outside of the
// root, such as /proc/self/fd/7; the kernel says so in front of its path.
void check_directory(const std::string& cwd) {
  std::array<char, PATH_MAX> path{};
  const long length = ::syscall(SYS_getcwd, path.data(), path.size());
  if (length > 0 && path[0] == '/') return;
  throw Failure("process.cwd: " + printable(cwd) + ": outside of the container's root");
}

void change_directory(const std::string& cwd) {
  check(::chdir(cwd.c_str()), "process.cwd: chdir", cwd);
  check_directory(cwd);
}

Environment environment_of(const ExecParams& params) {
  Environment environment(params.process.env);
  // Of two of a name the last one is meant, as with crun and runc; a program would find the first.
  environment.keep_last_of_each();
  if (!environment.get("HOME") || environment.get("HOME")->empty()) {
    const auto user = look_up_user(params.process.user.uid);
    environment.set("HOME", user && !user->home.empty() ? user->home : "/");
  }
  if (params.announced && !environment.get(listen_fds_name))
    announce(environment, params.announced->count, params.announced->fdnames);
  return environment;
}

// podman tells by these words what is not there (127) from what may not be executed (126). A missing
// interpreter is not there, to it as to execve(2).
[[noreturn]] void reword(Failure failure) {
  if (std::string_view(failure.what()).ends_with(missing_interpreter))
    failure = Failure(failure.what(), exit_status::not_found);
  std::string text = failure.what();
  const std::string_view word = failure.status() == exit_status::not_found       ? "No such file or directory"
                                : failure.status() == exit_status::cannot_invoke ? "Permission denied"
                                                                                 : "";
  if (text.find(word) == std::string::npos) text.append(": ").append(word);
  throw Failure(text, failure.status());
}

std::string find_payload(const Process& process, const Environment& environment) try {
  const std::string& name = process.args.front();
  std::string program = find_program(name, environment.get("PATH").value_or(standard_path));
  struct stat status {};
  if (::faccessat(AT_FDCWD, program.c_str(), X_OK, AT_EACCESS) < 0) throw_exec_failure(program, errno);
  if (::stat(program.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) throw_exec_failure(program, EACCES);
  return program;
} catch (const Failure& failure) {
  reword(failure);
}

/// The last part, which both kinds of process share.
class Departure {
 public:
  explicit Departure(const ExecParams& params) : params_(params) {}

  /// Everything that needs the runtime to be told of a failure.
  void prepare() {
    ::umask(params_.process.user.umask.value_or(0022));
    const std::string& cwd = params_.process.cwd;
    bool changed = ::chdir(cwd.c_str()) == 0;
    // A directory that root may not enter and the user may, on NFS.
    if (!changed && errno != EACCES) fail(errno, "process.cwd: chdir", cwd);
    set_limits(params_.process);
    give_stdio_to(params_.process.user);
    take_privileges(params_.process, params_.groups);
    if (!changed) change_directory(cwd);
    check_directory(cwd);
    next_.from = Hop::runtime_shim;
    next_.environment = environment_of(params_);
    next_.program = find_payload(params_.process, next_.environment);
    next_.argv = params_.process.args;
    if (params_.preserved > 0)
      next_.passed = {{listen_fds_start, listen_fds_start, params_.preserved, false, "preserved"}};
    // It is in this process that the number is known: 1 in a pid namespace, as podman says already.
    next_.name_pid = next_.environment.get(listen_fds_name).has_value();
    next_.name_pidfdid =
        next_.environment.get(listen_pidfdid_name).has_value() && observe_self().pidfdid.has_value();
    if (!next_.name_pidfdid) next_.environment.unset(listen_pidfdid_name);
  }

  /// What the program will get.
  [[nodiscard]] const Environment& environment() const { return next_.environment; }

  [[noreturn]] void depart() {
    sigset_t none;
    ::sigemptyset(&none);
    ExecImage image(next_, none);
    const ExecFailure failure = become(image.plan());
    if (failure.step.kind != Step::Kind::exec) throw Failure(image.describe(failure));
    try {
      throw_exec_failure(image.program(), failure.error);
    } catch (const Failure& worded) {
      reword(worded);
    }
  }

 private:
  const ExecParams& params_;
  HandOver next_;
};

// Tells the runtime why there will be no container, or, when that has gone, whoever reads stderr.
[[noreturn]] void fail_child(const ExecParams& params, std::string_view text, int status) noexcept {
  if (params.pipe) {
    send(params.pipe, StageMessage::Kind::failed, std::string(text));
  } else {
    print_error(Hop::runtime_shim, text);
  }
  ::_exit(status);
}

// One byte from `start`. The FIFO is open for writing here, too: its end is never seen.
void wait_for_start(const OwnedFd& fifo) {
  char byte = 0;
  do {
    (void)is_readable(fifo.get(), no_deadline);
  } while (retry([&] { return ::read(fifo.get(), &byte, 1); }) <= 0);
}

void enter_namespaces(InitParams& params) {
  if (params.in_user_namespace) become_root_of_user_namespace();
  join(params.joined);
  params.joined.clear();
  leave_host(params.new_namespaces);
  set_names(params.config);
}

// The state for the hooks in here, when the runtime has run those that come before. Empty when there are
// none.
std::string wait_for_hooks(InitParams& params) {
  std::string state;
  const Hooks& hooks = params.config.hooks;
  if (!hooks.prestart.empty() || !hooks.create_runtime.empty() || !hooks.create_container.empty() ||
      !hooks.start_container.empty()) {
    send(params.pipe, StageMessage::Kind::namespaces);
    const StageMessage answer = receive(params.pipe);
    if (answer.kind != StageMessage::Kind::go) throw Failure("the runtime has died");
    // The runtime has written it, and so it is at its end.
    check(::lseek(params.state.get(), 0, SEEK_SET), "lseek", "the state");
    state = read_all(params.state.get(), "the state");
  }
  params.state.close();
  return state;
}

void make_root(InitParams& params, const std::string& state) {
  const Config& config = params.config;
  std::vector<std::string> warnings;
  RootInMaking root = prepare_rootfs_propagation(params.root, config.linux_.rootfs_propagation);
  make_mounts(config, root, params.in_user_namespace, warnings);
  for (const std::string& warning : warnings) send(params.pipe, StageMessage::Kind::warning, warning);
  if (params.process.terminal) {
    allocate_console(root.directory, params.console, params.process, params.newlines);
    show_console(root, STDIN_FILENO);
  }
  params.console.close();
  run_hooks(config.hooks.create_container,
            {"createContainer", state, params.hook_files, environment_for_hooks()});
  protect_paths(config, root);
  enter_root(root.directory, params.no_pivot);
}

void init_main(InitParams& params) {
  receive(params.pipe, StageMessage::Kind::go);
  enter_namespaces(params);
  const std::string state = wait_for_hooks(params);
  set_sysctls(params.config, params.own_namespaces);
  make_root(params, state);
  // What waits for its start holds nothing that it does not need.
  const std::vector<Hook>& start_hooks = params.config.hooks.start_container;
  if (start_hooks.empty()) params.hook_files = {};
  reopen_null();
  if (!params.no_new_keyring) new_keyring(params.id);
  Departure departure(params);
  departure.prepare();
  // The runtime may be gone as soon as it has answered; if it goes without an answer, the pipe tells.
  check(::prctl(PR_SET_PDEATHSIG, 0), "prctl");
  send(params.pipe, StageMessage::Kind::ready);
  receive(params.pipe, StageMessage::Kind::go);
  if (params.fifo) {
    params.pipe.close();
    wait_for_start(params.fifo);
    params.fifo.close();
  }
  // A program of the container's, and so with its environment.
  run_hooks(start_hooks, {"startContainer", state, params.hook_files, departure.environment()});
  if (params.pipe) send(params.pipe, StageMessage::Kind::next_exec);
  departure.depart();
}

void exec_main(ExecParams& params, bool in_user_namespace) {
  receive(params.pipe, StageMessage::Kind::go);
  if (in_user_namespace) become_root_of_user_namespace();
  if (params.process.terminal)
    allocate_console(open_root("/"), params.console, params.process, params.newlines);
  params.console.close();
  reopen_null();
  Departure departure(params);
  departure.prepare();
  check(::prctl(PR_SET_PDEATHSIG, 0), "prctl");
  send(params.pipe, StageMessage::Kind::next_exec);
  departure.depart();
}

template <typename Params, typename ChildMain>
[[noreturn]] void run_child(Params& params, ChildMain child_main) noexcept {
  (void)guarded(
      [&]() -> int {
        // The runtime's death would leave half a container.
        check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
        reset_signals();
        close_all_but(needed_by(params), params.preserved);
        check(::setsid(), "setsid");
        child_main();
        return 0;
      },
      [&](std::string_view text, int status) { fail_child(params, text, status); });
  ::_exit(exit_status::hop_failed);
}

}  // namespace

int namespace_flag(const std::string& type) {
  if (type == "pid") return CLONE_NEWPID;
  if (type == "network") return CLONE_NEWNET;
  if (type == "mount") return CLONE_NEWNS;
  if (type == "ipc") return CLONE_NEWIPC;
  if (type == "uts") return CLONE_NEWUTS;
  if (type == "user") return CLONE_NEWUSER;
  if (type == "cgroup") return CLONE_NEWCGROUP;
  throw Failure("linux.namespaces: " + printable(type) + ": not a namespace that this runtime makes");
}

void run_init(InitParams& params) noexcept {
  run_child(params, [&] { init_main(params); });
}

void run_exec(ExecParams& params, bool in_user_namespace) noexcept {
  run_child(params, [&] { exec_main(params, in_user_namespace); });
}

}  // namespace fdchain::oci
