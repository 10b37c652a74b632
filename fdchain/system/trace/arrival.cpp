#include "fdchain/system/trace/arrival.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <limits>

#include "fdchain/model/variables.h"
#include "fdchain/system/exec/child_side.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/observe_process.h"
#include "fdchain/system/proc/self.h"

namespace fdchain {
namespace {

// The lowest number that is not in use. Everything below is open, which is how one system call checks a
// thousand announced descriptors.
int lowest_free_fd() {
  const OwnedFd probe(::eventfd(0, EFD_CLOEXEC));
  if (probe) return probe.get();
  if (errno != EMFILE) fail(errno, "eventfd");
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<int>::max()));
}

std::array<bool, 3> fill_stdio_holes(int& lowest_free) {
  std::array<bool, 3> open{true, true, true};
  while (lowest_free <= STDERR_FILENO) {
    open[static_cast<std::size_t>(lowest_free)] = false;
    const int flags = lowest_free == STDIN_FILENO ? O_RDONLY : O_WRONLY;
    // The one descriptor of ours that is born inheritable: it takes the place of stdio.
    check(::open("/dev/null", flags), "open", "/dev/null");  // NOLINT(android-cloexec-open)
    lowest_free = lowest_free_fd();
  }
  return open;
}

// Names that do not count the sockets are the payload's affair: sd_listen_fds(3) takes the sockets without a
// look at them, and so do podman and the runtimes.
std::variant<ListenEnv, ListenProblem> read_announcement(const Environment& environment, const Self& self) {
  auto parsed = parse_listen_env(environment, self);
  const auto* const problem = std::get_if<ListenProblem>(&parsed);
  if (problem == nullptr || problem->kind != ListenProblem::Kind::names_count) return parsed;
  return ListenEnv{problem->count, std::string(*environment.get(listen_fdnames_name)),
                   environment.get(listen_pidfdid_name).has_value()};
}

}  // namespace

bool is_observed() {
  return ::getenv(std::string(trace_name).c_str()) != nullptr ||
         ::getenv(std::string(fault_name).c_str()) != nullptr ||
         ::getenv(std::string(profile_name).c_str()) != nullptr;
}

void take_as_own(Arrival& arrival) {
  if (!arrival.environment.get(listen_pid_name)) return;
  arrival.environment.set(listen_pid_name, std::to_string(::getpid()));
  arrival.environment.unset(listen_pidfdid_name);
  arrival.listen = read_announcement(arrival.environment, {::getpid(), std::nullopt});
  arrival.missing.reset();
  const auto* const env = std::get_if<ListenEnv>(&arrival.listen);
  if (env == nullptr) return;
  for (int fd = listen_fds_start; fd < env->end() && !arrival.missing; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) arrival.missing = fd;
  }
  if (!arrival.missing) take_window(arrival, env->count);
}

void take_window(Arrival& arrival, int count) {
  arrival.window.release();  // not closed: it is taken again
  for (int fd = listen_fds_start; fd < listen_fds_start + count; ++fd)
    check(::fcntl(fd, F_SETFD, 0), "fcntl F_SETFD", std::to_string(fd));
  arrival.window = OwnedRange(listen_fds_start, count);
}

FdTable observe_queues(const Arrival& arrival) {
  std::vector<int> numbers;
  for (int fd = arrival.window.first(); fd < arrival.window.end(); ++fd) numbers.push_back(fd);
  for (const OwnedFd& held : arrival.held) numbers.push_back(held.get());
  FdTable queues;
  for (const int fd : numbers) {
    if (auto row = observe_queue(fd)) queues.push_back(std::move(*row));
  }
  return queues;
}

Arrival arrive(Hop hop, bool observe) {
  Arrival arrival;
  if (observe) arrival.record = observe_process(hop, Moment::arrival);
  arrival.environment = own_environment();
  int lowest_free = lowest_free_fd();
  arrival.stdio_open = fill_stdio_holes(lowest_free);
  const bool has_pidfdid = arrival.environment.get(listen_pidfdid_name).has_value();
  const Self self = has_pidfdid ? observe_self() : Self{::getpid(), std::nullopt};
  arrival.listen = read_announcement(arrival.environment, self);
  int end = listen_fds_start;
  if (const auto* const env = std::get_if<ListenEnv>(&arrival.listen)) {
    if (lowest_free >= env->end()) {
      arrival.window = OwnedRange(listen_fds_start, env->count);
      end = env->end();
    } else {
      arrival.missing = lowest_free;
    }
  }
  check(mark_close_on_exec(end, std::numeric_limits<int>::max()), "close_range");
  return arrival;
}

}  // namespace fdchain
