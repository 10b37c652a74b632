#include "runtime-shim/oci/fork.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/process_info.h"
#include "runtime-shim/oci/privileges.h"

namespace fdchain::oci {
namespace {

// A plain fork but for the flags; this process is single-threaded, so nothing is left half done in the copy.
pid_t raw_fork(unsigned long flags) {
  return static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, 0));
}

std::string text_of(const std::vector<IdMapping>& mappings) {
  std::string text;
  for (const IdMapping& each : mappings) {
    text += std::to_string(each.container_id) + ' ' + std::to_string(each.host_id) + ' ' +
            std::to_string(each.size) + '\n';
  }
  return text;
}

void write_proc(pid_t pid, const std::string& name, const std::string& text, const std::string& subject) {
  const auto process = proc::Process::find(pid);
  const OwnedFd file = process ? process->open(name, O_WRONLY) : OwnedFd();
  if (!file) fail(errno, subject);
  write_all(file.get(), text, subject);
}

// The child's first message must not come before the helper's, nor may it live on when nobody knows of it: it
// begins when the helper has said which it is, and ends if the helper has died instead.
[[noreturn]] void be_announced(SocketPair& gate, const ChildMain& child_main) {
  gate.ours.close();
  if (receive(gate.theirs).kind == StageMessage::Kind::go) {
    gate.theirs.close();
    child_main();
  }
  ::_exit(1);
}

[[noreturn]] void help(const Process& process, const std::function<void()>& enter, int new_namespaces,
                       const ChildMain& child_main, const OwnedFd& pipe) noexcept {
  try {
    favour(::getpid(), process);  // what it makes inherits it
    // From here on somebody of the container's could look at this process: at what it holds, and at its
    // memory. Nor can an ordinary runtime change anything of it, or of what it makes, any more.
    check(::prctl(PR_SET_DUMPABLE, 0), "prctl");
    check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    enter();
    SocketPair gate = make_socket_pair();
    const pid_t child = raw_fork(static_cast<unsigned long>(new_namespaces) | CLONE_PARENT);
    if (child == 0) be_announced(gate, child_main);
    check(child, "clone");
    gate.theirs.close();
    send(pipe, StageMessage::Kind::pid, std::to_string(child));
    send(gate.ours, StageMessage::Kind::go);
    ::_exit(0);
  } catch (const std::exception& error) {
    send(pipe, StageMessage::Kind::failed, error.what());
    ::_exit(1);
  }
}

}  // namespace

pid_t fork_into(int new_namespaces, const ChildMain& child_main) {
  const pid_t child = raw_fork(static_cast<unsigned long>(new_namespaces));
  if (child == 0) {
    child_main();
    ::_exit(1);
  }
  return check(child, "clone");
}

pid_t fork_by_helper(const Process& process, const std::function<void()>& enter, int new_namespaces,
                     const ChildMain& child_main, const OwnedFd& pipe, OwnedFd& others_pipe) {
  const pid_t helper = raw_fork(0);
  if (helper == 0) help(process, enter, new_namespaces, child_main, others_pipe);
  check(helper, "clone");
  // Its death is heard only when nobody else holds this end.
  others_pipe.close();
  const StageMessage message = receive(pipe);
  reap(helper);
  if (message.kind == StageMessage::Kind::failed) throw Failure(message.text);
  const auto pid =
      message.kind == StageMessage::Kind::pid ? parse_decimal(message.text, INT32_MAX) : std::nullopt;
  if (!pid) throw Failure("the helper that was to make the container's process has died");
  return static_cast<pid_t>(*pid);
}

void map_users(pid_t pid, const Linux& linux_) {
  write_proc(pid, "uid_map", text_of(linux_.uid_mappings), "linux.uidMappings");
  try {
    write_proc(pid, "gid_map", text_of(linux_.gid_mappings), "linux.gidMappings");
  } catch (const std::system_error& error) {
    if (error.code().value() != EPERM) throw;
    // An ordinary user has to give up setgroups(2) first: it could drop a group that denies it something.
    write_proc(pid, "setgroups", "deny", "linux.gidMappings");
    write_proc(pid, "gid_map", text_of(linux_.gid_mappings), "linux.gidMappings");
  }
}

void favour(pid_t pid, const Process& process) {
  raise_hard_limits(pid, process);
  if (!process.oom_score_adj) return;
  const std::string score = std::to_string(*process.oom_score_adj);
  write_proc(pid, "oom_score_adj", score, "process.oomScoreAdj " + score);
}

void end_child(pid_t pid) {
  ::kill(pid, SIGKILL);
  (void)retry([&] { return ::waitpid(pid, nullptr, 0); });
}

}  // namespace fdchain::oci
