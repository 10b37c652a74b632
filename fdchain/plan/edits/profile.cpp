#include "fdchain/plan/edits/profile.h"

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdlib>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/monitor_options.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/plan/edits/edits.h"

namespace fdchain {
namespace {

using faults::add_extra;
using faults::is_passed;

constexpr int usage_status = 2;

// As many as the command lines take; a number beyond it is somebody's mistake, and no loop shall run so long.
constexpr int most_kept = 65536;

constexpr std::array listen_names{listen_pid_name, listen_fds_name, listen_fdnames_name};

// What stands open here and is passed on only because nobody closes it, up to, and without, `end`.
void pass_what_is_open(HopPlan& plan, const HopContext& context, int end) {
  for (const int number : context.strays) {
    if (number >= end || is_passed(plan.next, number)) continue;
    plan.next.passed.push_back({number, number, 1, false, "open here, and not closed"});
  }
}

// A program's own descriptors take the lowest free numbers. Those among the numbers that it keeps go with
// them.
void pass_own(HopPlan& plan, const HopContext& context, std::span<const NewFd> own) {
  for (std::size_t i = 0; i < std::min(own.size(), context.free.size()); ++i) {
    if (is_passed(plan.next, context.free[i])) continue;
    add_extra(plan, Step::make(own[i], context.free[i]), "its own, at a number that it keeps");
  }
}

void restore(Environment& environment, const Environment& from, std::string_view name) {
  if (const auto value = from.get(name))
    environment.set(name, std::string(*value));
  else
    environment.unset(name);
}

FdRange as_announced(const Announcement& announcement) {
  return announcement.announced ? FdRange{announcement.count, announcement.preserve_fds}
                                : FdRange{0, announcement.preserve_fds};
}

// --- podman

// Go's strconv.Atoi.
int podman_count(const Environment& environment) {
  const auto text = environment.get(listen_fds_name);
  if (!text || text->empty()) return 0;
  const auto number = parse_decimal(*text, most_kept);
  if (!number)
    throw Failure(std::string(listen_fds_name) + '=' + printable(*text) +
                      ": podman takes it for a count of descriptors, whatever LISTEN_PID says, and gives up",
                  exit_status::cannot_invoke);
  return static_cast<int>(*number);
}

// LISTEN_FDS alone decides; --preserve-fds instead of it, not in addition.
FdRange podman_keeps(const Announcement& announcement) {
  return {announcement.preserve_fds > 0 ? announcement.preserve_fds : podman_count(announcement.environment),
          0};
}

// Behind the monitor's own options, `monitor [options] -- runtime [options] -- payload`, or the end.
std::size_t end_of_monitor_options(const std::vector<std::string>& argv) {
  std::size_t at = 1;
  while (at < argv.size() && argv[at] != "--") {
    const MonitorOptionName* const option = find_monitor_option(argv[at]);
    at += option != nullptr && takes_next_word(*option, argv[at]) ? 2U : 1U;
  }
  return std::min(at, argv.size());
}

// The runtime's options come after `--` and its name.
void add_runtime_option(std::vector<std::string>& argv, const std::string& name, const std::string& value) {
  const std::size_t at = end_of_monitor_options(argv) + 2;
  if (at > argv.size()) return;
  argv.insert(argv.begin() + static_cast<std::ptrdiff_t>(at), {name, value});
}

void add_monitor_option(std::vector<std::string>& argv, std::initializer_list<std::string> words) {
  if (end_of_monitor_options(argv) == argv.size()) return;
  argv.insert(argv.begin() + 1, words);
}

// What podman writes into config.json: its own LISTEN_*, with LISTEN_PID as the container's first process has
// it.
void announce_in_config(HopPlan& plan, const HopContext& context) {
  const bool own_sockets = context.own_sockets > 0;
  const auto value_of = [&](std::string_view name) -> std::optional<std::string> {
    const Environment& from = own_sockets ? plan.next.environment : context.arrived;
    const auto value = from.get(name);
    if (name == listen_pid_name) return value || own_sockets ? std::optional<std::string>("1") : std::nullopt;
    return value ? std::optional<std::string>(*value) : std::nullopt;
  };
  for (const auto name : {listen_fdnames_name, listen_pid_name, listen_fds_name}) {
    if (const auto value = value_of(name))
      add_runtime_option(plan.next.argv, "--config-env", std::string(name) + '=' + *value);
  }
}

void as_podman(HopPlan& plan, const HopContext& context) {
  const int count = context.sockets + static_cast<int>(context.free.size());
  // Of --preserve-fds it asks whether they are there; of LISTEN_FDS it does not.
  if (context.preserve_fds > 0 && !context.free.empty())
    throw Failure("--preserve-fds " + std::to_string(context.preserve_fds) + ": descriptor " +
                  std::to_string(context.free.front()) + " is not open");
  announce_in_config(plan, context);
  if (count > 0) {
    add_runtime_option(plan.next.argv, "--preserve-fds", std::to_string(count));
    add_monitor_option(plan.next.argv, {"--preserve-fds", std::to_string(count)});
  }
  plan.next.name_pid = plan.next.name_pidfdid = false;
  // Of its own it has sockets and pipes there, none of which anybody listens on.
  static constexpr std::array own{NewFd::socket, NewFd::socket, NewFd::epoll, NewFd::eventfd};
  pass_own(plan, context, own);
  pass_what_is_open(plan, context, INT_MAX);
}

bool podman_43_passes(std::string_view assignment) {
  static constexpr std::array prefixes{
      "_OCI_",          "LC_",     "PATH=", "CONTAINERS_", "_CONTAINERS_", "HOME=", "XDG_RUNTIME_DIR=",
      "NOTIFY_SOCKET=", "FDCHAIN_"};
  return std::ranges::any_of(prefixes, [&](const char* prefix) { return assignment.starts_with(prefix); });
}

void as_podman_43(HopPlan& plan, const HopContext& context) {
  as_podman(plan, context);
  std::vector<std::string> kept;
  for (const std::string& assignment : plan.next.environment.assignments()) {
    if (podman_43_passes(assignment)) kept.push_back(assignment);
  }
  plan.next.environment = Environment(std::move(kept));
}

// LISTEN_PID as it came; of sockets that the launcher has opened itself, as its activator would have set it.
void keep_listen_env(HopPlan& plan, const HopContext& context) {
  plan.next.name_pid = plan.next.name_pidfdid = false;
  if (context.own_sockets > 0) {
    plan.next.environment.set(listen_pid_name, std::to_string(context.pid));
    return;
  }
  for (const auto name : listen_names) restore(plan.next.environment, context.arrived, name);
  restore(plan.next.environment, context.arrived, listen_pidfdid_name);
}

void as_podman_48(HopPlan& plan, const HopContext& context) {
  as_podman(plan, context);
  keep_listen_env(plan, context);
}

// --- CRI-O

void as_cri_o(HopPlan& plan, const HopContext& context) {
  keep_listen_env(plan, context);
  add_monitor_option(plan.next.argv, {"--replace-listen-pid"});
}

// --- conmon

// It counts nothing: what it was started with stays where it is, and is held until the container's end.
FdRange conmon_keeps(const Announcement& announcement) {
  return announcement.announced ? FdRange{announcement.count, announcement.preserve_fds}
                                : FdRange{announcement.preserve_fds, 0};
}

void as_conmon(HopPlan& plan, const HopContext& context) {
  for (const auto name : listen_names) {
    if (name != listen_pid_name || !context.names_me) restore(plan.next.environment, context.arrived, name);
  }
  plan.next.name_pid = context.names_me;
  plan.next.name_pidfdid = false;
  restore(plan.next.environment, context.arrived, listen_pidfdid_name);
  for (const auto name : {sync_pipe_name, start_pipe_name})
    restore(plan.next.environment, context.arrived, name);
  pass_what_is_open(plan, context, INT_MAX);
  add_extra(plan, Step::ignore(SIGPIPE), "it ignores it, and does not reset it for the next");
}

// --- the OCI runtimes

// strtoll(3) without a look at where it stopped.
int crun_count(const Environment& environment) {
  const auto text = environment.get(listen_fds_name);
  if (!text) return 0;
  const long long number = std::strtoll(std::string(*text).c_str(), nullptr, 10);
  return static_cast<int>(std::clamp<long long>(number, -most_kept, most_kept));
}

FdRange crun_keeps(const Announcement& announcement) {
  return {std::max(0, announcement.preserve_fds + crun_count(announcement.environment)), 0};
}

// The environment of config.json, and nothing of its own but what follows.
void announce_as_configured(HopPlan& plan, const HopContext& context) {
  add_extra(plan, Step::reset_signals(), "whatever its caller ignores");
  plan.next.name_pid = plan.next.name_pidfdid = false;
  for (const auto name : listen_names) restore(plan.next.environment, context.config, name);
  plan.next.environment.unset(listen_pidfdid_name);
}

int end_of_kept(const HopContext& context) {
  return listen_fds_start + context.sockets + context.preserved + static_cast<int>(context.free.size());
}

// The runtime's own log, which it opens before anything else.
constexpr std::array crun_own{NewFd::file};

void as_crun(HopPlan& plan, const HopContext& context) {
  announce_as_configured(plan, context);
  const int count = crun_count(context.arrived);
  if (count > 0 && !plan.next.environment.get(listen_pid_name))
    plan.next.environment.set(listen_pid_name, "1");
  pass_own(plan, context, crun_own);
  pass_what_is_open(plan, context, context.kept_end);
  // A negative count is added too.
  for (int number = listen_fds_start + context.preserve_fds + count; number < listen_fds_start; ++number) {
    if (number >= 0) add_extra(plan, Step::close(number), "below the end of what it keeps");
  }
}

// What a runtime written in Go has open when it looks whether the numbers are.
constexpr std::array runc_own{NewFd::file, NewFd::epoll, NewFd::pipe, NewFd::pipe};

void as_runc(HopPlan& plan, const HopContext& context) {
  announce_as_configured(plan, context);
  if (context.announced) {
    plan.next.environment.set(listen_fds_name, std::to_string(context.announced_count));
    plan.next.environment.set(listen_pid_name, "1");
  }
  if (context.free.size() > runc_own.size())
    throw Failure("runc: unable to stat preserved-fd " +
                  std::to_string(context.free[runc_own.size()] - listen_fds_start) + " (of " +
                  std::to_string(end_of_kept(context) - listen_fds_start) + ")");
  pass_own(plan, context, runc_own);
  pass_what_is_open(plan, context, context.kept_end);
}

constexpr std::array profiles{
    Profile{"podman-4.3", Hop::launcher,
            "LISTEN_FDS alone counts; the monitor hears of it as --preserve-fds, of LISTEN_* nothing; the "
            "payload's LISTEN_* are configured, with LISTEN_PID=1; strays pass",
            podman_keeps, as_podman_43},
    Profile{"podman-4.8", Hop::launcher,
            "as podman-4.3, and the monitor and the runtime get LISTEN_* too, with podman's own LISTEN_PID",
            podman_keeps, as_podman_48},
    Profile{"cri-o", Hop::launcher, "LISTEN_* pass as they are, and the monitor is told --replace-listen-pid",
            as_announced, as_cri_o},
    Profile{"conmon", Hop::monitor,
            "everything inherited passes and is held to the end; LISTEN_* and _OCI_* pass as they are, but "
            "for a LISTEN_PID that names it; so does that it ignores SIGPIPE",
            conmon_keeps, as_conmon},
    Profile{"crun", Hop::runtime_shim,
            "LISTEN_FDS is added to --preserve-fds, whatever LISTEN_PID says, its own log included; of "
            "LISTEN_* it makes LISTEN_PID=1 alone",
            crun_keeps, as_crun},
    Profile{"runc", Hop::runtime_shim,
            "--preserve-fds passes its own descriptors where nobody else's are; LISTEN_FDS and LISTEN_PID=1 "
            "are made anew, LISTEN_FDNAMES is not",
            conmon_keeps, as_runc},
};

constexpr std::array chains{
    ChainProfile{"podman-4.3", "podman-4.3", "conmon", "crun",
                 "podman 3.4 to 4.7 with conmon 2.1 and crun 1.8"},
    ChainProfile{"podman-4.8", "podman-4.8", "conmon", "crun",
                 "podman from 4.8 on with conmon 2.1 and crun 1.8"},
    ChainProfile{"conmon", "", "conmon", "", "conmon alone"},
    ChainProfile{"crun", "", "", "crun", "crun 1.8 alone"},
    ChainProfile{"runc", "", "", "runc", "runc 1.1 alone"},
    ChainProfile{"cri-o", "cri-o", "conmon", "runc", "CRI-O with conmon and runc"},
    ChainProfile{ideal_profile, "", "", "", "what the protocol asks for; the default"},
};

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Failure("--profile " + printable(text) + ": " + why, usage_status);
}

std::size_t index_of(Hop hop) {
  return static_cast<std::size_t>(hop) - static_cast<std::size_t>(Hop::launcher);
}

std::string names_for(Hop hop) {
  std::string names;
  for (const Profile& profile : profiles) {
    if (profile.hop == hop) names.append(profile.name).append(", ");
  }
  return names.append(ideal_profile);
}

std::string chain_names() {
  std::string names;
  for (const ChainProfile& chain : chains) names.append(names.empty() ? "" : ", ").append(chain.name);
  return names;
}

}  // namespace

std::span<const Profile> all_profiles() { return profiles; }
std::span<const ChainProfile> chain_profiles() { return chains; }

void ProfileChoice::choose(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    const auto chain = std::ranges::find(chains, text, &ChainProfile::name);
    if (chain == chains.end()) refuse(text, "unknown profile; there are " + chain_names() + ", and HOP=NAME");
    names_ = {std::string(chain->launcher), std::string(chain->monitor), std::string(chain->runtime_shim)};
    return;
  }
  const auto hop = parse_hop(text.substr(0, equals));
  if (!hop || *hop == Hop::activator || *hop == Hop::payload)
    refuse(text, "not HOP=NAME; HOP is one of launcher, monitor, runtime-shim");
  const std::string_view name = text.substr(equals + 1);
  const bool known = std::ranges::any_of(
      profiles, [&](const Profile& profile) { return profile.hop == *hop && profile.name == name; });
  if (!known && name != ideal_profile) refuse(text, "not one of " + names_for(*hop));
  names_[index_of(*hop)] = known ? name : "";
}

bool ProfileChoice::is_ideal() const {
  return std::ranges::all_of(names_, [](const std::string& name) { return name.empty(); });
}

const Profile* ProfileChoice::of(Hop hop) const {
  if (hop == Hop::activator || hop == Hop::payload) return nullptr;
  const auto found = std::ranges::find_if(profiles, [&](const Profile& profile) {
    return profile.hop == hop && profile.name == names_[index_of(hop)];
  });
  return found == profiles.end() ? nullptr : &*found;
}

std::string to_string(const ProfileChoice& choice) {
  std::string text;
  for (const Hop hop : {Hop::launcher, Hop::monitor, Hop::runtime_shim}) {
    const Profile* const profile = choice.of(hop);
    if (profile == nullptr) continue;
    text.append(text.empty() ? "" : ",").append(to_string(hop)).append("=").append(profile->name);
  }
  return text;
}

ProfileChoice parse_profiles(std::string_view text) {
  ProfileChoice choice;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    choice.choose(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return choice;
}

}  // namespace fdchain
