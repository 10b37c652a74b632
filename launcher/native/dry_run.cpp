#include "launcher/native/dry_run.h"

#include <unistd.h>

#include <algorithm>
#include <span>

#include "fdchain/model/number.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/departure.h"
#include "fdchain/protocol/told.h"

namespace fdchain {
namespace {

// What the next hop finds open, but for the pipes that are meant for it alone.
FdTable found_by_next(const HandOver& previous) {
  FdTable table;
  const auto add = [&](int number) { table.emplace_back().number = number; };
  for (const FdPass& range : previous.passed) {
    if (range.what == "sync pipe" || range.what == "start pipe") continue;
    for (int i = 0; i < range.count; ++i) add(range.target + i);
  }
  for (const PlannedStep& planned : previous.extra) {
    if (planned.step.kind == Step::Kind::make) add(planned.step.target);
  }
  std::ranges::sort(table, {}, &FdRow::number);
  return table;
}

AcceptedFds accepted_by_next(const Profile* profile, const HandOver& previous,
                             std::span<const std::string> words) {
  const auto count = previous.environment.get(listen_fds_name);
  Announcement announcement{previous.environment, previous.name_pid, 0, 0};
  if (announcement.announced && count) announcement.count = parse_int_as_systemd(*count).value;
  const std::vector<std::string_view> views(words.begin(), words.end());
  announcement.preserve_fds = told_to_preserve(views).value_or(0);
  FdRange kept{announcement.announced ? announcement.count : 0, announcement.preserve_fds};
  if (profile != nullptr) kept = profile->keep(announcement);
  AcceptedFds accepted = accept_kept(kept, announcement, found_by_next(previous));
  if (profile != nullptr) return accepted;
  accepted.sockets.count = kept.sockets;
  accepted.preserved = kept.preserved;
  return accepted;
}

Received received_by_next(const AcceptedFds& accepted, const HandOver& previous) {
  const auto fdnames = previous.environment.get(listen_fdnames_name);
  return {previous.environment,
          accepted.sockets.count,
          fdnames ? std::optional<std::string>(*fdnames) : std::nullopt,
          previous.name_pidfdid,
          accepted.preserved,
          previous.pid_variables};
}

HopPlan plan_monitor(const RunOptions& options, const HandOver& launcher, const AcceptedFds& accepted,
                     int sync_target) {
  RuntimeStart start;
  start.received = received_by_next(accepted, launcher);
  start.program = options.runtime;
  start.command = {options.runtime};
  start.sync_target = sync_target;
  start.sync_source = sync_target + 2;
  start.monitor_pid = 1;
  const int first_pipe = start.sync_source + 1;
  const int input = options.detach ? first_pipe : STDIN_FILENO;
  if (options.log.kind == LogTarget::Kind::none) start.stdio = {input, first_pipe, first_pipe};
  if (options.log.kind == LogTarget::Kind::k8s_file) start.stdio = {input, first_pipe + 1, first_pipe + 2};
  return {hand_over_to_runtime(start), ideal_conduct(Hop::monitor)};
}

HopPlan plan_shim(const RunOptions& options, const HandOver& monitor, const AcceptedFds& accepted,
                  int ready_fd, std::span<const std::string> config) {
  PayloadStart start;
  start.received = received_by_next(accepted, monitor);
  start.program = options.payload.front();
  start.command = options.payload;
  start.assignments = options.environment;
  start.config.assign(config.begin(), config.end());
  start.ready_fd = ready_fd;
  start.isolation = options.isolation;
  start.workdir = options.workdir;
  if (options.isolation.pid) start.parent_pidfd = start.ready_fd + 1;
  return {hand_over_to_payload(start), ideal_conduct(Hop::runtime_shim)};
}

// Faults are edits of what a healthy chain would have: they may have spoilt the announcement.
AcceptedFds accepted_for(const DryRun& run, const Profile* profile, const HandOver& previous,
                         std::span<const std::string> words) {
  if (!run.options().profiles.is_ideal()) return accepted_by_next(profile, previous, words);
  AcceptedFds accepted;
  accepted.sockets.count = run.sockets();
  accepted.preserved = accepted.preserve_fds = run.options().preserve_fds;
  accepted.kept_end = accepted.sockets.end() + accepted.preserved;
  return accepted;
}

HopContext context_for(const HandOver& previous, const AcceptedFds& accepted) {
  const auto count = previous.environment.get(listen_fds_name);
  const Announcement announcement{{}, previous.name_pid, count ? parse_int_as_systemd(*count).value : 0, 0};
  HopContext context = context_of(previous.environment, accepted, announcement);
  for (const FdRow& row : found_by_next(previous)) {
    if (row.number >= accepted.sockets.end() + accepted.preserved) context.strays.push_back(row.number);
  }
  return context;
}

HandOver plan_second(DryRun& run, const HandOver& launcher, int sync) {
  const Profile* const profile = run.options().profiles.of(Hop::monitor);
  const AcceptedFds accepted = accepted_for(run, profile, launcher, launcher.argv);
  HopContext context = context_for(launcher, accepted);
  const bool replaces = std::ranges::find(launcher.argv, "--replace-listen-pid") != launcher.argv.end();
  context.names_me = launcher.name_pid || replaces;
  return run.add(plan_monitor(run.options(), launcher, accepted, sync), profile, context);
}

void plan_third(DryRun& run, const HandOver& monitor, std::span<const std::string> words, int sync) {
  const Profile* const profile = run.options().profiles.of(Hop::runtime_shim);
  const AcceptedFds accepted = accepted_for(run, profile, monitor, words);
  HopContext context = context_for(monitor, accepted);
  std::vector<std::string> config;
  for (std::size_t i = 0; i + 1 < words.size() && words[i] != "--"; ++i) {
    if (words[i] == "--config-env") config.push_back(words[i + 1]);
  }
  context.config = Environment(config);
  // With a profile the sync pipe is moved to where nothing is kept.
  const int ready_fd = profile == nullptr ? sync : accepted.kept_end + sync;
  run.add(plan_shim(run.options(), monitor, accepted, ready_fd, config), profile, context);
}

std::span<const std::string> words_of_runtime(const std::vector<std::string>& argv) {
  const auto end = std::ranges::find(argv, "--");
  return {end == argv.end() ? end : end + 1, argv.end()};
}

int number_in(std::span<const std::string> words, const std::string& option) {
  const auto found = std::ranges::find(words, option);
  return found == words.end() || found + 1 == words.end() ? -1 : std::stoi(*(found + 1));
}

}  // namespace

void plan_chain(DryRun& run) {
  const Arrival& arrival = run.arrival();
  RunOptions as_read = run.options();
  as_read.preserve_fds = run.accepted().preserved;
  HopPlan plan{hand_over_to_monitor(
                   plan_monitor_start(as_read, arrival.environment, run.accepted().sockets, run.handles())),
               ideal_conduct(Hop::launcher)};
  HopContext context = run.launcher_context();
  const HandOver launcher = run.add(std::move(plan), run.options().profiles.of(Hop::launcher), context);
  const auto words = words_of_runtime(launcher.argv);
  const int sync = number_in(words, "--sync-fd");
  const HandOver monitor = plan_second(run, launcher, sync);
  plan_third(run, monitor, words, sync);
}

}  // namespace fdchain
