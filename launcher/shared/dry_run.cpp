#include "launcher/shared/dry_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>

#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/socket/listening_socket.h"
#include "launcher/shared/activator.h"

namespace fdchain {
namespace {

namespace json = boost::json;

template <typename Step>
json::array json_list(const std::vector<Step>& steps) {
  json::array list;
  for (const Step step : steps) list.emplace_back(to_string(step));
  return list;
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

HopContext context_of(const Environment& arrived, const AcceptedFds& accepted,
                      const Announcement& announcement) {
  HopContext context{arrived, ::getpid(), accepted.sockets.count, accepted.preserved, {}};
  context.preserve_fds = accepted.preserve_fds;
  context.announced = context.names_me = announcement.announced;
  context.announced_count = announcement.count;
  context.kept_end = accepted.kept_end;
  context.free = accepted.free;
  return context;
}

std::string join_printable(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(printable(word));
  return text;
}

DryRun::DryRun(const RunOptions& options, Arrival& arrival) : options_(options), arrival_(arrival) {
  accepted_ = accept_as(options_.profiles.of(Hop::launcher), arrival_, options_.preserve_fds, {});
  sockets_ = accepted_.sockets.count + static_cast<int>(options_.listen.size());
}

Handles DryRun::handles() const {
  // The kernel gives the lowest free number; what is open by then besides is of no interest to a plan.
  int number = accepted_.kept_end;
  Handles handles;
  for (const ListenSpec& spec : options_.listen) {
    handles.own_sockets.push_back(number++);
    for (auto& made : names_made_for(spec)) handles.made_names.push_back(std::move(made));
  }
  handles.sync = number++;
  handles.start = number++;
  handles.reserved = static_cast<int>(accepted_.free.size());
  return handles;
}

HopContext DryRun::launcher_context() const {
  const auto* const env = std::get_if<ListenEnv>(&arrival_.listen);
  HopContext context =
      context_of(arrival_.environment, accepted_, {{}, env != nullptr, env == nullptr ? 0 : env->count, 0});
  context.own_sockets = static_cast<int>(options_.listen.size());
  context.sockets = sockets_;
  context.strays = strays_of(arrival_, accepted_.sockets.end() + accepted_.preserved);
  return context;
}

HandOver DryRun::add(HopPlan plan, const Profile* profile, HopContext& context) {
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

void DryRun::add_told(std::string_view text, json::object hop) {
  text_ += text;
  hops_.push_back(std::move(hop));
}

std::string DryRun::text() const {
  return options_.json ? json::serialize(json::object{{"hops", hops_}}) + '\n' : text_;
}

void dry_run(const RunOptions& options, Arrival& arrival, PlanHops plan_hops) {
  if (const auto activator = plan_activator(options, arrival)) {
    const char* const end =
        "launcher\n  what it makes of this depends on what is really there then: a run with --report shows "
        "it\n";
    if (options.json) {
      json::array hops{json_plan(*activator)};
      return write_all_patiently(STDOUT_FILENO,
                                 json::serialize(json::object{{"hops", std::move(hops)}}) + '\n', "stdout");
    }
    return write_all_patiently(STDOUT_FILENO, describe_plan(*activator) + end, "stdout");
  }
  DryRun run(options, arrival);
  plan_hops(run);
  write_all_patiently(STDOUT_FILENO, run.text(), "stdout");
}

}  // namespace fdchain
