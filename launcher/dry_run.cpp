#include "launcher/dry_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <span>

#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/announcement.h"
#include "fdchain/program/departure.h"
#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/protocol/told.h"
#include "fdchain/system/files.h"
#include "launcher/activator.h"
#include "launcher/container/plan.h"
#include "launcher/plan.h"

namespace fdchain {
namespace {

// The kernel gives the lowest free number; what is open by then besides is of no interest to a plan.
int next_number(int& number) { return number++; }

// With a stand-in for the directory that a run makes for itself.
ContainerRun container_run(const RunOptions& options, const Arrival& arrival, const Accepted& accepted) {
  return {options,          arrival.environment, accepted.sockets, accepted.kept_end, {"/tmp/fdchain-XXXXXX"},
          "fdchain-XXXXXX", options.monitor,     options.runtime};
}

HopPlan plan_launcher(const RunOptions& options, const Arrival& arrival, const Accepted& accepted) {
  int number = accepted.kept_end;
  Handles handles;
  for (const ListenSpec& spec : options.listen) {
    handles.own_sockets.push_back(next_number(number));
    for (auto& made : names_made_for(spec)) handles.made_names.push_back(std::move(made));
  }
  handles.sync = next_number(number);
  handles.start = next_number(number);
  handles.reserved = static_cast<int>(accepted.free.size());
  if (options.dialect == Dialect::oci)
    return plan_conmon(container_run(options, arrival, accepted), handles, {"clean-up-container"});
  return {hand_over_to_monitor(plan_monitor_start(options, arrival.environment, accepted.sockets, handles)),
          ideal_conduct(Hop::launcher)};
}

// What the next hop finds open, but for the pipes that are meant for it alone.
FdTable found_by_next(const HandOver& previous) {
  FdTable table;
  const auto add = [&](int number) { table.emplace_back().number = number; };
  for (const Passed& range : previous.passed) {
    if (range.what == "sync pipe" || range.what == "start pipe") continue;
    for (int i = 0; i < range.count; ++i) add(range.target + i);
  }
  for (const PlannedStep& planned : previous.extra) {
    if (planned.step.kind == Step::Kind::make) add(planned.step.target);
  }
  std::ranges::sort(table, {}, &FdRow::number);
  return table;
}

Accepted accepted_by_next(const Profile* profile, const HandOver& previous,
                          std::span<const std::string> words) {
  const auto count = previous.environment.get(listen_fds_name);
  Told told{previous.environment, previous.name_pid, 0, 0};
  if (told.announced && count) told.count = parse_int_as_systemd(*count).value;
  const std::vector<std::string_view> views(words.begin(), words.end());
  told.preserve_fds = told_to_preserve(views).value_or(0);
  Kept kept{told.announced ? told.count : 0, told.preserve_fds};
  if (profile != nullptr) kept = profile->keep(told);
  Accepted accepted = accept_kept(kept, told, found_by_next(previous));
  if (profile != nullptr) return accepted;
  accepted.sockets.count = kept.sockets;
  accepted.preserved = kept.preserved;
  return accepted;
}

Received received_by_next(const Accepted& accepted, const HandOver& previous) {
  const auto fdnames = previous.environment.get(listen_fdnames_name);
  return {previous.environment,
          accepted.sockets.count,
          fdnames ? std::optional<std::string>(*fdnames) : std::nullopt,
          previous.name_pidfdid,
          accepted.preserved,
          previous.pid_variables};
}

HopPlan plan_monitor(const RunOptions& options, const HandOver& launcher, const Accepted& accepted,
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

HopPlan plan_shim(const RunOptions& options, const HandOver& monitor, const Accepted& accepted, int ready_fd,
                  std::span<const std::string> config) {
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

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(printable(word));
  return text;
}

namespace json = boost::json;

template <typename Step>
json::array json_list(const std::vector<Step>& steps) {
  json::array list;
  for (const Step step : steps) list.emplace_back(to_string(step));
  return list;
}

json::array json_words(const std::vector<std::string>& words) {
  return json::array(words.begin(), words.end());
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

// Of what is announced: name and value, which for its own pid only the child knows.
std::vector<std::pair<std::string_view, std::string>> announced_by(const HandOver& next) {
  std::vector<std::pair<std::string_view, std::string>> announced;
  for (const auto name : {listen_fds_name, listen_fdnames_name, listen_pid_name, sync_pipe_name,
                          start_pipe_name, notify_socket_name, watchdog_pid_name, systemd_exec_pid_name}) {
    const auto value = next.environment.get(name);
    const bool of_the_child = (name == listen_pid_name && next.name_pid) ||
                              std::ranges::find(next.pid_variables, name) != next.pid_variables.end();
    if (value || of_the_child)
      announced.emplace_back(name, of_the_child ? "(its own pid)" : std::string(*value));
  }
  return announced;
}

std::string describe_environment(const HandOver& next) {
  std::string text;
  for (const auto& [name, value] : announced_by(next)) text += fmt::format(" {}={}", name, printable(value));
  return text.empty() ? " nothing" : text;
}

json::object json_plan(const HopPlan& plan) {
  json::object announces;
  for (const auto& [name, value] : announced_by(plan.next)) announces[name] = value;
  json::array steps;
  for (const PlannedStep& planned : plan_steps(plan.next))
    steps.push_back({{"step", to_string(planned.step)}, {"why", planned.why}});
  return {{"hop", to_string(plan.next.from)},
          {"announces", std::move(announces)},
          {"steps", std::move(steps)},
          {"after_fork", json_list(plan.conduct.after_fork)},
          {"on_signal", json_list(plan.conduct.on_signal)},
          {"after_exit", json_list(plan.conduct.after_exit)},
          {"after_failed_start", json_list(plan.conduct.after_failed_start)}};
}

std::string describe_plan(const HopPlan& plan) {
  std::string text =
      fmt::format("{}\n  announces:{}\n", to_string(plan.next.from), describe_environment(plan.next));
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

namespace {

FaultContext context_of(const Environment& arrived, const Accepted& accepted, const Told& told) {
  FaultContext context{arrived, ::getpid(), accepted.sockets.count, accepted.preserved, {}};
  context.preserve_fds = accepted.preserve_fds;
  context.announced = context.names_me = told.announced;
  context.announced_count = told.count;
  context.kept_end = accepted.kept_end;
  context.free = accepted.free;
  return context;
}

/// One hop after the other, each with what the one before has planned for it.
class DryRun {
 public:
  DryRun(const RunOptions& options, Arrival& arrival) : options_(options), arrival_(arrival) {}

  std::string describe() {
    plan();
    return options_.json ? json::serialize(json::object{{"hops", std::move(hops_)}}) + '\n'
                         : std::move(text_);
  }

 private:
  void plan() {
    const HandOver launcher = plan_first();
    if (options_.dialect == Dialect::oci) return describe_container();
    const auto words = words_of_runtime(launcher.argv);
    const int sync = number_in(words, "--sync-fd");
    const HandOver monitor = plan_second(launcher, sync);
    plan_third(monitor, words, sync);
  }

  HandOver plan_first() {
    const Profile* const profile = options_.profiles.of(Hop::launcher);
    accepted_ = accept_as(profile, arrival_, options_.preserve_fds, {});
    RunOptions as_read = options_;
    as_read.preserve_fds = accepted_.preserved;
    sockets_ = accepted_.sockets.count + static_cast<int>(options_.listen.size());
    const auto* const env = std::get_if<ListenEnv>(&arrival_.listen);
    FaultContext context =
        context_of(arrival_.environment, accepted_, {{}, env != nullptr, env == nullptr ? 0 : env->count, 0});
    context.own_sockets = static_cast<int>(options_.listen.size());
    context.sockets = sockets_;
    context.strays = strays_of(arrival_, accepted_.sockets.end() + accepted_.preserved);
    return finish(plan_launcher(as_read, arrival_, accepted_), profile, context);
  }

  // What a real monitor and a real runtime make of what they are told is not ours to plan.
  void describe_container() {
    const ContainerRun run = container_run(options_, arrival_, accepted_);
    const ConmonOptions monitor = conmon_options(run, {"clean-up-container"});
    std::vector<std::string> start{run.runtime};
    for (const std::string& word : runtime_words(run)) start.push_back(word);
    start.insert(start.end(), {"start", run.id});
    std::vector<std::string> told = encode(monitor);
    told.insert(told.begin(), run.monitor);
    const auto create = runtime_command(monitor, run.place.bundle(), run.place.pidfile(), "");
    const std::string config = oci::encode(config_of(run));
    text_ += fmt::format(
        "monitor\n  is told: {}\n\nruntime-shim\n  is told: {}\n  and then: {}\n  config.json: {}\n",
        join(told), join(create), join(start), config);
    hops_.push_back(json::object{{"hop", "monitor"}, {"told", json_words(told)}});
    hops_.push_back(json::object{{"hop", "runtime-shim"},
                                 {"told", json_words(create)},
                                 {"then_told", json_words(start)},
                                 {"config", json::parse(config)}});
  }

  HandOver plan_second(const HandOver& launcher, int sync) {
    const Profile* const profile = options_.profiles.of(Hop::monitor);
    const Accepted accepted = accepted_for(profile, launcher, launcher.argv);
    FaultContext context = context_for(launcher, accepted);
    const bool replaces = std::ranges::find(launcher.argv, "--replace-listen-pid") != launcher.argv.end();
    context.names_me = launcher.name_pid || replaces;
    return finish(plan_monitor(options_, launcher, accepted, sync), profile, context);
  }

  void plan_third(const HandOver& monitor, std::span<const std::string> words, int sync) {
    const Profile* const profile = options_.profiles.of(Hop::runtime_shim);
    const Accepted accepted = accepted_for(profile, monitor, words);
    FaultContext context = context_for(monitor, accepted);
    std::vector<std::string> config;
    for (std::size_t i = 0; i + 1 < words.size() && words[i] != "--"; ++i) {
      if (words[i] == "--config-env") config.push_back(words[i + 1]);
    }
    context.config = Environment(config);
    // With a profile the sync pipe is moved to where nothing is kept.
    const int ready_fd = profile == nullptr ? sync : accepted.kept_end + sync;
    finish(plan_shim(options_, monitor, accepted, ready_fd, config), profile, context);
  }

  // Faults are edits of what a healthy chain would have: they may have spoilt the announcement.
  Accepted accepted_for(const Profile* profile, const HandOver& previous,
                        std::span<const std::string> words) const {
    if (!options_.profiles.is_ideal()) return accepted_by_next(profile, previous, words);
    Accepted accepted;
    accepted.sockets.count = sockets_;
    accepted.preserved = accepted.preserve_fds = options_.preserve_fds;
    accepted.kept_end = accepted.sockets.end() + accepted.preserved;
    return accepted;
  }

  static FaultContext context_for(const HandOver& previous, const Accepted& accepted) {
    const auto count = previous.environment.get(listen_fds_name);
    const Told told{{}, previous.name_pid, count ? parse_int_as_systemd(*count).value : 0, 0};
    FaultContext context = context_of(previous.environment, accepted, told);
    for (const FdRow& row : found_by_next(previous)) {
      if (row.number >= accepted.sockets.end() + accepted.preserved) context.strays.push_back(row.number);
    }
    return context;
  }

  HandOver finish(HopPlan plan, const Profile* profile, FaultContext& context) {
    if (profile != nullptr) {
      text_ += fmt::format("profile {}: {}\n", profile->name, profile->summary);
      profile->edit(plan, context);
    }
    // A fault works on what a healthy hop would have: there are no strays behind the launcher.
    if (profile == nullptr && plan.next.from != Hop::launcher) context.strays.clear();
    commit_faults(options_.faults, plan.next.from, plan, context);
    text_ += describe_plan(plan);
    hops_.push_back(json_plan(plan));
    if (profile != nullptr) hops_.back().as_object()["profile"] = profile->name;
    return plan.next;
  }

  static std::span<const std::string> words_of_runtime(const std::vector<std::string>& argv) {
    const auto end = std::ranges::find(argv, "--");
    return {end == argv.end() ? end : end + 1, argv.end()};
  }

  static int number_in(std::span<const std::string> words, const std::string& option) {
    const auto found = std::ranges::find(words, option);
    return found == words.end() || found + 1 == words.end() ? -1 : std::stoi(*(found + 1));
  }

  const RunOptions& options_;
  Arrival& arrival_;
  Accepted accepted_;  ///< by the launcher
  int sockets_ = 0;
  std::string text_;
  json::array hops_;  ///< the same for programs
};

}  // namespace

void dry_run(const RunOptions& options, Arrival& arrival) {
  if (const auto activator = plan_activator(options, arrival)) {
    const char* const end =
        "launcher\n  what it makes of this depends on what is really there then: a run with --report shows "
        "it\n";
    if (options.json) {
      json::array hops{json_plan(*activator)};
      return write_all(STDOUT_FILENO, json::serialize(json::object{{"hops", std::move(hops)}}) + '\n',
                       "stdout");
    }
    return write_all(STDOUT_FILENO, describe_plan(*activator) + end, "stdout");
  }
  write_all(STDOUT_FILENO, DryRun(options, arrival).describe(), "stdout");
}

}  // namespace fdchain
