#include "launcher/dry_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <span>

#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/announcement.h"
#include "fdchain/program/departure.h"
#include "fdchain/system/files.h"
#include "launcher/activator.h"
#include "launcher/plan.h"

namespace fdchain {
namespace {

// The kernel gives the lowest free number; what is open by then besides is of no interest to a plan.
int next_number(int& number) { return number++; }

HopPlan plan_launcher(const RunOptions& options, const Arrival& arrival, const ListenEnv& inherited) {
  int number = inherited.end() + options.preserve_fds;
  Handles handles;
  for (const ListenSpec& spec : options.listen) {
    handles.own_sockets.push_back(next_number(number));
    if (auto made = name_made_for(spec)) handles.made_names.push_back(std::move(*made));
  }
  handles.sync = next_number(number);
  handles.start = next_number(number);
  return {hand_over_to_monitor(plan_monitor_start(options, arrival.environment, inherited, handles)),
          ideal_conduct(Hop::launcher)};
}

Received received_by_next(const RunOptions& options, const HandOver& previous, int sockets) {
  const auto fdnames = previous.environment.get(listen_fdnames_name);
  return {previous.environment, sockets, fdnames ? std::optional<std::string>(*fdnames) : std::nullopt,
          previous.name_pidfdid, options.preserve_fds};
}

HopPlan plan_monitor(const RunOptions& options, const HandOver& launcher, int sockets) {
  RuntimeStart start;
  start.received = received_by_next(options, launcher, sockets);
  start.program = options.runtime;
  start.command = {options.runtime};
  start.sync_target = start.received.end();
  start.sync_source = start.received.end() + 2;
  start.monitor_pid = 1;
  const int first_pipe = start.sync_source + 1;
  const int input = options.detach ? first_pipe : STDIN_FILENO;
  if (options.log.kind == LogTarget::Kind::none) start.stdio = {input, first_pipe, first_pipe};
  if (options.log.kind == LogTarget::Kind::k8s_file) start.stdio = {input, first_pipe + 1, first_pipe + 2};
  return {hand_over_to_runtime(start), ideal_conduct(Hop::monitor)};
}

HopPlan plan_shim(const RunOptions& options, const HandOver& monitor, int sockets) {
  PayloadStart start;
  start.received = received_by_next(options, monitor, sockets);
  start.program = options.payload.front();
  start.command = options.payload;
  start.assignments = options.environment;
  start.ready_fd = start.received.end();
  start.isolation = options.isolation;
  start.workdir = options.workdir;
  if (options.isolation.pid) start.parent_pidfd = start.ready_fd + 1;
  return {hand_over_to_payload(start), ideal_conduct(Hop::runtime_shim)};
}

template <typename Step>
std::string list(const std::vector<Step>& steps) {
  std::string text;
  for (const Step step : steps) text.append(text.empty() ? "" : ", ").append(to_string(step));
  return text.empty() ? "nothing" : text;
}

void print_conduct(const Conduct& conduct, std::string& text) {
  const Conduct none;
  if (conduct.after_fork != none.after_fork) text += fmt::format("  then: {}\n", list(conduct.after_fork));
  if (conduct.on_signal != none.on_signal)
    text += fmt::format("  on a signal: {}\n", list(conduct.on_signal));
  if (conduct.after_exit != none.after_exit)
    text += fmt::format("  when the payload has ended: {}\n", list(conduct.after_exit));
  if (!conduct.after_failed_start.empty())
    text += fmt::format("  when it could not be started: {}\n", list(conduct.after_failed_start));
}

std::string describe_environment(const Environment& environment, const HandOver& next) {
  std::string text;
  for (const auto name : {listen_fds_name, listen_fdnames_name, listen_pid_name, sync_pipe_name,
                          start_pipe_name, notify_socket_name}) {
    const auto value = environment.get(name);
    const bool of_the_child = name == listen_pid_name && next.name_pid;
    if (!value && !of_the_child) continue;
    text += fmt::format(" {}={}", name, of_the_child ? "(its own pid)" : printable(*value));
  }
  return text.empty() ? " nothing" : text;
}

std::string describe_plan(const HopPlan& plan) {
  std::string text = fmt::format("{}\n  announces:{}\n", to_string(plan.next.from),
                                 describe_environment(plan.next.environment, plan.next));
  for (const PlannedStep& planned : plan_steps(plan.next)) {
    text += fmt::format("  {:<28} {}\n", to_string(planned.step), printable(planned.why));
  }
  print_conduct(plan.conduct, text);
  return text + '\n';
}

// What this launcher was started with beside what was announced, as a run takes it down.
std::vector<int> strays_of(const Arrival& arrival, int window_end) {
  std::vector<int> strays;
  if (!arrival.record) return strays;
  for (const FdRow& row : arrival.record->fds) {
    if (row.number >= window_end && row.number > STDERR_FILENO) strays.push_back(row.number);
  }
  return strays;
}

}  // namespace

void dry_run(const RunOptions& options, const Arrival& arrival) {
  if (const auto activator = plan_activator(options, arrival)) {
    const char* const end =
        "launcher\n  what it makes of this depends on what is really there then: a run with --report shows "
        "it\n";
    return write_all(STDOUT_FILENO, describe_plan(*activator) + end, "stdout");
  }
  const ListenEnv inherited = accept_announcement(arrival, options.preserve_fds);
  const int sockets = inherited.count + static_cast<int>(options.listen.size());
  FaultContext context{arrival.environment, ::getpid(), sockets, options.preserve_fds,
                       strays_of(arrival, inherited.end())};
  const auto edit = [&](HopPlan plan) {
    commit_faults(options.faults, plan.next.from, plan, context);
    return plan;
  };
  const HopPlan launcher = edit(plan_launcher(options, arrival, inherited));
  context.arrived = launcher.next.environment;
  context.strays.clear();  // the launcher has passed on none
  const HopPlan monitor = edit(plan_monitor(options, launcher.next, sockets));
  context.arrived = monitor.next.environment;
  const HopPlan shim = edit(plan_shim(options, monitor.next, sockets));
  write_all(STDOUT_FILENO, describe_plan(launcher) + describe_plan(monitor) + describe_plan(shim), "stdout");
}

}  // namespace fdchain
