#include "fdchain/system/spawn.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/system/owned_fd.h"
#include "fdchain/system/signals.h"
#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

struct ReportPipe {
  OwnedFd read;
  OwnedFd write;
};

// The write end goes where no step of the plan will overwrite it.
ReportPipe make_report_pipe(int first_unused_fd) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
  ReportPipe pipe{OwnedFd(ends[0]), OwnedFd(ends[1])};
  pipe.write = OwnedFd(check(::fcntl(ends[1], F_DUPFD_CLOEXEC, first_unused_fd), "fcntl F_DUPFD_CLOEXEC"));
  return pipe;
}

// The next report, or nothing at the pipe's end: every process that had the other end has exec'ed or exited.
std::optional<ChildReport> read_report(const OwnedFd& pipe) {
  ChildReport message;
  const ssize_t got = retry([&] { return ::read(pipe.get(), &message, sizeof message); });
  check(got, "read", "report pipe");
  if (got != sizeof message) return std::nullopt;  // writes this small are atomic, so this is the end
  return message;
}

WaitStatus reap(pid_t pid) {
  int status = 0;
  check(retry([&] { return ::waitpid(pid, &status, 0); }), "waitpid");
  return WaitStatus(status);
}

// Forks; the child lives in `life`, which does not return.
template <typename Life>
pid_t fork_child(ExecImage& image, ReportPipe& pipe, Life life) {
  pid_t pid = 0;
  {
    const SignalsBlocked blocked;
    ExecPlan plan = image.plan();
    plan.signal_mask = blocked.before();
    pid = check(::fork(), "fork");
    if (pid == 0) life(plan, pipe.write.get());
  }
  pipe.write.close();
  return pid;
}

}  // namespace

Spawned spawn(ExecImage& image) {
  ReportPipe pipe = make_report_pipe(image.first_unused_fd());
  const pid_t pid = fork_child(image, pipe, run_child);
  const auto message = read_report(pipe.read);
  if (!message) return {pid, std::nullopt};
  reap(pid);
  return {pid, message->failure};
}

Spawned spawn_detached(ExecImage& image) {
  ReportPipe pipe = make_report_pipe(image.first_unused_fd());
  const pid_t intermediate = fork_child(image, pipe, run_intermediate);
  Spawned result;
  bool forked = false;
  // The intermediate and the child share the pipe, and which of them writes first is nobody's promise.
  while (const auto message = read_report(pipe.read)) {
    switch (message->kind) {
      case ChildReport::Kind::forked:
        result.pid = message->pid;
        forked = true;
        break;
      case ChildReport::Kind::failed:
        result.failure = message->failure;
        break;
      case ChildReport::Kind::fork_failed:
        reap(intermediate);
        fail(message->failure.error, "fork", "in the intermediate of the double fork");
    }
  }
  const WaitStatus status = reap(intermediate);
  if (!forked) throw Failure("the intermediate of the double fork " + status.describe());
  return result;
}

}  // namespace fdchain
