// The payload: a socket-activated service to put at the end of the chain.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include "fdchain/model/failure.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/program/notice.h"
#include "fdchain/program/observed.h"
#include "fdchain/system/proc/self.h"
#include "fdchain/system/socket/adopt.h"
#include "fdchain/system/trace/arrival.h"
#include "fdchain/system/trace/trace_file.h"
#include "payload/echo.h"
#include "payload/options.h"
#include "payload/report.h"

namespace fdchain {
namespace {

constexpr int no_sockets = 1;

// What an inetd passes instead of LISTEN_*: one socket, as stdin.
bool stdin_is_socket() {
  struct stat status {};
  return ::fstat(STDIN_FILENO, &status) == 0 && S_ISSOCK(status.st_mode);
}

std::vector<Source> sources_of(const Adoption& adoption) {
  std::vector<Source> sources;
  for (int i = 0; i < adoption.result; ++i) {
    // Names that do not count the sockets name none of them.
    const auto index = static_cast<std::size_t>(i);
    const bool named = index < adoption.names.size();
    sources.push_back({listen_fds_start + i, named ? adoption.names[index] : std::string(unnamed_socket)});
  }
  if (sources.empty() && stdin_is_socket()) sources.push_back({STDIN_FILENO, "stdin"});
  return sources;
}

int echo(const PayloadOptions& options, const Arrival& arrival, const Adoption& adoption) {
  const std::vector<Source> sources = sources_of(adoption);
  if (sources.empty()) {
    throw Failure(
        adoption.problem.empty()
            ? "no sockets: LISTEN_FDS is not set and stdin is not a socket; try launcher --listen tcp:8080"
            : "no sockets: " + adoption.problem,
        no_sockets);
  }
  return serve_echo(sources, options, arrival.environment);
}

// Until a signal asks for the end; meanwhile the watchdog of the unit is fed where that is wanted.
void wait_for_end(const sigset_t& ends, const Environment& environment, std::chrono::microseconds watchdog) {
  if (watchdog.count() == 0) {
    int number = 0;
    ::sigwait(&ends, &number);
    return;
  }
  const auto pause = std::max(watchdog / 2, shortest_watchdog);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(pause);
  const timespec span{seconds.count(), std::chrono::nanoseconds(pause - seconds).count()};
  do {
    tell_service_manager(environment, "WATCHDOG=1");
  } while (::sigtimedwait(&ends, nullptr, &span) < 0);
}

int hold(const PayloadOptions& options, const Arrival& arrival) {
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::sigaddset(&ends, SIGINT);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  tell_service_manager(arrival.environment, "READY=1");
  if (options.sdnotify) tell_service_manager(arrival.environment, "STATUS=holding what arrived");
  const auto watchdog = watchdog_interval(arrival.environment);
  wait_for_end(ends, arrival.environment, options.sdnotify ? watchdog : std::chrono::microseconds());
  if (options.sdnotify) tell_service_manager(arrival.environment, "STOPPING=1");
  return options.exit_code;
}

// As sd_listen_fds(3) asked to unset: what this process starts shall not take the sockets for its own.
void forget_listen_env() {
  for (const auto name : {listen_pid_name, listen_pidfdid_name, listen_fds_name, listen_fdnames_name}) {
    ::unsetenv(std::string(name).c_str());
  }
}

// Process 1 of a pid namespace is given every orphan in there. This one waits for no child of its own, so the
// kernel may reap them all.
void reap_orphans() {
  if (::getpid() != 1) return;
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  action.sa_flags = SA_NOCLDWAIT;
  ::sigaction(SIGCHLD, &action, nullptr);
}

int run(const PayloadOptions& options, const Arrival& arrival) {
  reap_orphans();
  const Adoption adoption = adopt_listen_fds(arrival.environment, observe_self());
  forget_listen_env();
  checkpoint(arrival.environment, Hop::payload, Moment::running);
  switch (options.mode) {
    case PayloadOptions::Mode::echo: return echo(options, arrival, adoption);
    case PayloadOptions::Mode::hold: return hold(options, arrival);
    case PayloadOptions::Mode::report: break;
  }
  print_report(*arrival.record, adoption);
  return options.exit_code;
}

}  // namespace
}  // namespace fdchain

int main(int argc, char** argv) {
  using namespace fdchain;
  return guarded(Hop::payload, [&] {
    const std::vector<std::string> words(argv + 1, argv + argc);
    // A report is of what arrived, before anything else touches the table.
    const bool reports = !words.empty() && words.front() == "report";
    const Arrival arrival = arrive(Hop::payload, reports || is_observed());
    Trace trace(arrival.environment);
    if (arrival.record) append_if_possible(trace, [&] { return *arrival.record; });
    checkpoint(arrival.environment, Hop::payload, Moment::arrival);
    log::start(Hop::payload);
    const auto options = parse_payload_options(words);
    return options ? run(*options, arrival) : 0;
  });
}
