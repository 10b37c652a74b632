#include "runtime-shim/oci/hooks.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/printable.h"
#include "fdchain/plan/hand_over.h"
#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/exec/spawn.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/self.h"
#include "fdchain/system/trace/arrival.h"

namespace fdchain::oci {
namespace {

// A file in memory, so that a hook that does not read its stdin keeps nobody waiting.
OwnedFd state_as_file(const std::string& state) {
  OwnedFd file(check(::memfd_create("state", MFD_CLOEXEC), "memfd_create"));
  write_all(file.get(), state, "state");
  check(::lseek(file.get(), 0, SEEK_SET), "lseek");
  return file;
}

bool ends_before(Deadline end, const OwnedFd& pidfd, const Interruption* interruption) {
  return interruption != nullptr ? interruption->wait(pidfd.get(), end) : is_readable(pidfd.get(), end);
}

WaitStatus wait_for(pid_t pid, const Hook& hook, const std::string& subject,
                    const Interruption* interruption) {
  try {
    const OwnedFd pidfd(check(open_pidfd(pid), "pidfd_open"));
    const Deadline end = hook.timeout ? after(std::chrono::seconds(*hook.timeout)) : no_deadline;
    if (!ends_before(end, pidfd, interruption))
      throw Failure(subject + ": not done after " + std::to_string(*hook.timeout) + " seconds");
  } catch (...) {
    ::kill(pid, SIGKILL);
    reap(pid);
    throw;
  }
  return reap(pid);
}

// A FIFO that nobody reads is refused rather than waited for.
OwnedFd open_named(const std::map<std::string, std::string>& annotations, const std::string& name) {
  const auto found = annotations.find(name);
  if (found == annotations.end()) return {};
  constexpr int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY;
  OwnedFd file(check(::open(found->second.c_str(), flags | O_NONBLOCK, 0600), name, found->second));
  check(::fcntl(file.get(), F_SETFL, O_APPEND), "fcntl F_SETFL");
  return file;
}

bool has_any(const Hooks& hooks) {
  return std::ranges::any_of(std::array{&hooks.prestart, &hooks.create_runtime, &hooks.create_container,
                                        &hooks.start_container, &hooks.poststart, &hooks.poststop},
                             [](const auto* list) { return !list->empty(); });
}

/// Where the hooks of a container write.
class HookOutput {
 public:
  explicit HookOutput(const HookFiles& files)
      : said_(check(::memfd_create("hook", MFD_CLOEXEC), "memfd_create")), files_(files) {}

  [[nodiscard]] std::vector<FdPass> passed() const {
    return {{(files_.out ? files_.out : said_).get(), STDOUT_FILENO, 1, false, "stdout"},
            {(files_.err ? files_.err : said_).get(), STDERR_FILENO, 1, false, "stderr"}};
  }

  /// `, and said: TEXT`; empty when nothing was said.
  [[nodiscard]] std::string told() const {
    std::array<char, 1000> text{};
    const ssize_t got = retry([&] { return ::pread(said_.get(), text.data(), text.size(), 0); });
    std::string_view said(text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    said = said.substr(0, said.find_last_not_of('\n') + 1);
    return said.empty() ? "" : ", and said: " + printable(said, 1000);
  }

 private:
  OwnedFd said_;
  const HookFiles& files_;
};

void run_hook(const Hook& hook, const HookCall& call, const Interruption* interruption) {
  const std::string subject = std::string(call.kind) + " hook " + printable(hook.path);
  const OwnedFd file = state_as_file(call.state);
  const HookOutput output(call.files);
  HandOver next;
  next.from = Hop::runtime_shim;
  next.program = hook.path;
  next.argv = hook.args.empty() ? std::vector{hook.path} : hook.args;
  next.environment = hook.env ? Environment(*hook.env) : call.environment;
  next.environment.keep_last_of_each();
  next.passed = output.passed();
  next.passed.push_back({file.get(), STDIN_FILENO, 1, false, "state"});
  sigset_t none;
  ::sigemptyset(&none);
  ExecImage image(next, none);
  const Spawned spawned = spawn(image);
  if (spawned.failure) throw Failure(subject + ": " + image.describe(*spawned.failure));
  const WaitStatus status = wait_for(spawned.pid, hook, subject, interruption);
  if (status != WaitStatus::for_exit_code(0))
    throw Failure(subject + ' ' + status.describe() + output.told());
}

}  // namespace

HookFiles open_hook_files(const Config& config) {
  if (!has_any(config.hooks)) return {};
  return {open_named(config.annotations, "run.oci.hooks.stdout"),
          open_named(config.annotations, "run.oci.hooks.stderr")};
}

void run_hooks(const std::vector<Hook>& hooks, const HookCall& call, const Interruption* interruption) {
  for (const Hook& hook : hooks) run_hook(hook, call, interruption);
}

Environment environment_for_hooks() {
  Environment environment = own_environment();
  unset_listen_env(environment);
  return environment;
}

}  // namespace fdchain::oci
