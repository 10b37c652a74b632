#include "runtime-shim/oci/hooks.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/plan/hand_over.h"
#include "fdchain/system/files.h"
#include "fdchain/system/pidfd.h"
#include "fdchain/system/spawn.h"
#include "fdchain/system/sys.h"

namespace fdchain::oci {
namespace {

// A file in memory, so that a hook that does not read its stdin keeps nobody waiting.
OwnedFd state_as_file(const std::string& state) {
  OwnedFd file(check(::memfd_create("state", MFD_CLOEXEC), "memfd_create"));
  write_all(file.get(), state, "state");
  check(::lseek(file.get(), 0, SEEK_SET), "lseek");
  return file;
}

bool ends_within(const OwnedFd& pidfd, int milliseconds, const Interruption* interruption) {
  if (interruption != nullptr) return interruption->wait(pidfd.get(), milliseconds);
  pollfd ended{pidfd.get(), POLLIN, 0};
  return retry([&] { return ::poll(&ended, 1, milliseconds); }) != 0;
}

WaitStatus wait_for(pid_t pid, const Hook& hook, const std::string& shown, const Interruption* interruption) {
  try {
    const OwnedFd pidfd(check(open_pidfd(pid), "pidfd_open"));
    if (!ends_within(pidfd, hook.timeout ? *hook.timeout * 1000 : -1, interruption))
      throw Failure(shown + ": not done after " + std::to_string(*hook.timeout) + " seconds");
  } catch (...) {
    ::kill(pid, SIGKILL);
    reap(pid);
    throw;
  }
  return reap(pid);
}

void run_hook(const Hook& hook, std::string_view kind, const std::string& state,
              const Interruption* interruption) {
  const std::string shown = std::string(kind) + " hook " + printable(hook.path);
  const OwnedFd file = state_as_file(state);
  HandOver next;
  next.from = Hop::runtime_shim;
  next.program = hook.path;
  next.argv = hook.args.empty() ? std::vector{hook.path} : hook.args;
  next.environment = Environment(hook.env);
  next.passed = {{file.get(), STDIN_FILENO, 1, false, "state"}};
  sigset_t none;
  ::sigemptyset(&none);
  ExecImage image(next, none);
  const Spawned spawned = spawn(image);
  if (spawned.failure) throw Failure(shown + ": " + image.describe(*spawned.failure));
  const WaitStatus status = wait_for(spawned.pid, hook, shown, interruption);
  if (status != WaitStatus::for_exit_code(0)) throw Failure(shown + ' ' + status.describe());
}

}  // namespace

void run_hooks(const std::vector<Hook>& hooks, std::string_view kind, const std::string& state,
               const Interruption* interruption) {
  for (const Hook& hook : hooks) run_hook(hook, kind, state, interruption);
}

}  // namespace fdchain::oci
