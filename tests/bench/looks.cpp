#include "tests/bench/looks.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <vector>

#include "fdchain/system/fd/nofile.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/observe_process.h"

namespace fdchain::bench {
namespace {

pid_t waiting_child() {
  const pid_t child = check(::fork(), "fork");
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::pause();
  ::_exit(0);
}

}  // namespace

double look_at_process(int descriptors) {
  using Clock = std::chrono::steady_clock;
  const RaisedNofile room;
  std::vector<OwnedFd> held;
  while (held.size() < static_cast<std::size_t>(descriptors)) {
    int ends[2];
    check(::pipe2(ends, O_CLOEXEC), "pipe2");
    held.emplace_back(ends[0]);
    held.emplace_back(ends[1]);
  }
  const FdTable known = observe_fds();
  const pid_t child = waiting_child();
  const auto begin = Clock::now();
  const auto record = observe_other(child, Hop::payload, Moment::running, Hop::monitor, known);
  const std::chrono::duration<double> took = Clock::now() - begin;
  ::kill(child, SIGKILL);
  check(::waitpid(child, nullptr, 0), "waitpid");
  if (!record || record->fds.size() < held.size()) throw std::runtime_error("the process was not seen whole");
  return took.count();
}

}  // namespace fdchain::bench
