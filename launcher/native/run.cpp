#include "launcher/native/run.h"

#include <unistd.h>

#include "fdchain/model/failure.h"
#include "fdchain/model/variables.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/departure.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/proc/observe.h"
#include "launcher/native/monitor_link.h"
#include "launcher/shared/caretaker.h"
#include "launcher/shared/follow/watcher.h"
#include "launcher/shared/plan.h"
#include "launcher/shared/sockets.h"
#include "launcher/shared/systemd_notice.h"
#include "launcher/shared/witness.h"

namespace fdchain {
namespace {

void carry_out(const std::vector<AfterFork>& steps, const Spawned& monitor, Arrival& arrival,
               Sockets& sockets) {
  for (const AfterFork step : steps) {
    switch (step) {
      case AfterFork::reap_intermediate: reap(monitor.intermediate); break;
      case AfterFork::drop_sockets:
        arrival.window.close();
        for (Opened& opened : sockets.opened) opened.fd.close();
        break;
    }
  }
}

// Double-forks the monitor and connects the link to it; returns its pid.
pid_t start_monitor(const RunOptions& options, Arrival& arrival, const AcceptedFds& accepted,
                    Sockets& sockets, MonitorLink& link, const Trace& trace) {
  SocketPair sync = make_socket_pair();
  SocketPair start = make_socket_pair();
  Handles handles{{}, {}, sync.theirs.get(), start.theirs.get(), static_cast<int>(accepted.free.size())};
  for (const Opened& opened : sockets.opened) {
    handles.own_sockets.push_back(opened.fd.get());
    for (const MadeName& made : opened.made) handles.made_names.emplace_back(made.kind(), made.name());
  }
  const Environment environment = environment_to_pass(options, arrival.environment, trace);
  HopPlan plan{hand_over_to_monitor(plan_monitor_start(options, environment, sockets.inherited, handles)),
               ideal_conduct(Hop::launcher)};
  edit_plan(plan, arrival, asked_edits(options, arrival.environment), accepted,
            {static_cast<int>(sockets.opened.size())});
  const Spawned monitor = depart(plan.next, link.mask_before(), trace, true);
  log::debug("monitor runs with pid {}", monitor.pid);
  checkpoint(arrival.environment, Hop::launcher, Moment::after_fork);
  link.connect(std::move(sync.ours), std::move(start.ours), monitor, options.timeout);
  // Whoever waits for the end of a preserved pipe waits for the payload, not for this process.
  OwnedRange(sockets.inherited.end(), accepted.preserved).close();
  carry_out(plan.conduct.after_fork, monitor, arrival, sockets);
  return monitor.pid;
}

// Paths and queues go with the run. The monitor removes them; a launcher that did it once more could hit what
// somebody else has made in their place by then. Only when the monitor dies does it fall to the launcher.
void leave_names_to_monitor(Sockets& sockets) {
  for (Opened& opened : sockets.opened) {
    for (MadeName& made : opened.made) made.release();
  }
}

// Says the payload's pid; only then may the launcher leave.
int detach(const Arrival& arrival, Sockets& sockets, MonitorLink& link, pid_t payload) {
  if (!arrival.stdio_open[STDOUT_FILENO])
    throw Failure("stdout is closed; the payload's pid has nowhere to go");
  write_all_patiently(STDOUT_FILENO, std::to_string(payload) + '\n', "stdout");
  link.leave();
  leave_names_to_monitor(sockets);
  return 0;
}

int attend(const RunOptions& options, MonitorLink& link, pid_t payload) {
  const SyncMessage end = link.wait_for_end();
  const std::string who =
      (options.name.empty() ? "" : options.name + ": ") + "payload (pid " + std::to_string(payload) + ") ";
  if (end.timed_out) {
    print_error(Hop::launcher, who + "was killed: --timeout " + std::to_string(options.timeout) + " is over");
  } else if (end.signal && !link.has_relayed(*end.signal)) {
    print_error(Hop::launcher, who + WaitStatus::for_signal(*end.signal).describe());
  }
  return end.data;
}

// What can be known of the payload's file here: with another root, it is another's.
std::unique_ptr<Watcher> watch(const RunOptions& options, const Arrival& arrival, const Trace& trace) {
  if (!trace.on()) return nullptr;
  std::string payload;
  try {
    if (options.isolation.rootfs.empty())
      payload =
          find_program(options.payload.front(), arrival.environment.get("PATH").value_or(standard_path));
  } catch (const Failure&) {
    // The shim will say so.
  }
  return watch_run(trace, observe_fds(), payload, follow_payload_of(options.follow_payload));
}

int run_linked(const RunOptions& options, Arrival& arrival, const AcceptedFds& accepted, MonitorLink& link,
               Sockets& sockets, Witness& witness) {
  if (!options.pidfile.empty()) check_replaceable("--pidfile", options.pidfile);
  sockets.inherited = accepted.sockets;
  std::optional<Caretaker> caretaker;  // of the names, until there is a monitor to remove them
  if (makes_names(options)) caretaker.emplace(remove_names);
  open_sockets(options, sockets, caretaker ? &*caretaker : nullptr);
  if (witness.trace().on()) witness.saw_arrival(make_contract(options, arrival, sockets));
  std::unique_ptr<Watcher> watcher = watch(options, arrival, witness.trace());
  if (watcher) link.spare(watcher->pid());
  pid_t monitor = 0;
  pid_t payload = 0;
  try {
    monitor = start_monitor(options, arrival, accepted, sockets, link, witness.trace());
    caretaker.reset();
    payload = link.start_payload();
  } catch (...) {
    end_watch(watcher, RunEnd::failed);
    throw;
  }
  if (!options.follow_payload) end_watch(watcher);
  try {
    notify_systemd(options, arrival, monitor);
    if (!options.pidfile.empty())
      write_file_atomically(options.pidfile, std::to_string(payload), "--pidfile");
    checkpoint(arrival.environment, Hop::launcher, Moment::running);
    if (options.detach) return detach(arrival, sockets, link, payload);
  } catch (...) {
    link.end_payload();
    throw;
  }
  const int status = attend(options, link, payload);
  end_watch(watcher);
  leave_names_to_monitor(sockets);
  checkpoint(arrival.environment, Hop::launcher, Moment::after_exit);
  // Here, while everything that a faulty plan has kept is still held.
  witness.saw_end(link.heard(), link.came_with());
  return status;
}

}  // namespace

int run_hops(const RunOptions& options, Arrival& arrival, const AcceptedFds& accepted, Sockets& sockets,
             Witness& witness) {
  std::optional<MonitorLink> link;
  try {
    link.emplace();
    return run_linked(options, arrival, accepted, *link, sockets, witness);
  } catch (...) {
    if (link)
      witness.saw_end(link->heard(), link->came_with());
    else
      witness.saw_end({}, {});
    throw;
  }
}

}  // namespace fdchain
