#include "launcher/shared/plan.h"

#include "fdchain/model/variables.h"
#include "fdchain/program/isolation_options.h"
#include "fdchain/system/exec/find_program.h"
#include "fdchain/system/proc/observe.h"
#include "fdchain/system/proc/self.h"

namespace fdchain {
namespace {

std::vector<std::string> all_names(const ListenEnv& inherited, const std::vector<ListenSpec>& listen) {
  std::vector<std::string> names(static_cast<std::size_t>(inherited.count), std::string(unnamed_socket));
  if (inherited.fdnames) names = split_fdnames(*inherited.fdnames);
  // A profile takes sockets with whatever names.
  names.resize(static_cast<std::size_t>(inherited.count), std::string(unnamed_socket));
  for (const ListenSpec& spec : listen) names.push_back(spec.name.value_or(std::string(unnamed_socket)));
  return names;
}

// All names, once one socket has one: inherited sockets keep theirs, the others are `unknown`, as
// sd_listen_fds_with_names(3) calls them.
std::optional<std::string> fdnames(const ListenEnv& inherited, const std::vector<ListenSpec>& listen) {
  bool named = inherited.fdnames.has_value();
  for (const ListenSpec& spec : listen) named |= spec.name.has_value();
  if (!named) return std::nullopt;
  return listen.empty() ? inherited.fdnames : std::optional(join_fdnames(all_names(inherited, listen)));
}

void add_option(std::vector<std::string>& words, const std::string& name, const std::string& value) {
  if (value.empty()) return;
  words.push_back(name);
  words.push_back(value);
}

void add_option(std::vector<std::string>& words, const std::string& name, int value) {
  if (value > 0) add_option(words, name, std::to_string(value));
}

// The whole chain, readable in ps: monitor [its options] -- runtime-shim [its options] -- payload.
std::vector<std::string> monitor_command(const RunOptions& options, const Environment& environment,
                                         const Handles& handles, int runtime_sync_fd) {
  std::vector<std::string> words{find_hop(options.monitor, environment.get("PATH").value_or(standard_path))};
  add_option(words, "--log", to_string(options.log));
  // Whoever detaches keeps its stdin, unless the payload was to have all three.
  if (options.detach && options.log.kind != LogTarget::Kind::passthrough) words.emplace_back("--no-stdin");
  add_option(words, "--timeout", options.timeout);
  add_option(words, "--exit-file", options.exit_file);
  add_option(words, "--preserve-fds", options.preserve_fds);
  // Should this launcher not be there to do it.
  for (const auto& [kind, name] : handles.made_names) {
    add_option(words, kind == MadeName::Kind::path ? "--remove-path" : "--remove-queue", name);
  }
  add_option(words, "--runtime-sync-fd", runtime_sync_fd);
  words.insert(words.end(), {"--", options.runtime});
  add_option(words, "--sync-fd", runtime_sync_fd);
  add_option(words, "--preserve-fds", options.preserve_fds);
  add_option(words, "--workdir", options.workdir);
  for (const std::string& word : to_words(options.isolation)) words.push_back(word);
  for (const std::string& assignment : options.environment) add_option(words, "--env", assignment);
  words.emplace_back("--");
  words.insert(words.end(), options.payload.begin(), options.payload.end());
  return words;
}

}  // namespace

Environment environment_to_pass(const RunOptions& options, const Environment& arrived, const Trace& trace) {
  Environment environment = arrived;
  if (trace.on()) environment.set(trace_name, trace.variable());
  if (!options.faults.empty()) environment.set(fault_name, to_string(options.faults));
  if (!options.profiles.is_ideal()) environment.set(profile_name, to_string(options.profiles));
  return environment;
}

AskedEdits asked_edits(const RunOptions& options, const Environment& arrived) {
  AskedEdits asked = asked_edits(arrived);
  if (!options.faults.empty()) asked.faults = options.faults;
  if (!options.profiles.is_ideal()) asked.profiles = options.profiles;
  return asked;
}

std::optional<std::string> all_fdnames(const RunOptions& options, const ListenEnv& inherited) {
  return fdnames(inherited, options.listen);
}

MonitorStart plan_monitor_start(const RunOptions& options, const Environment& environment,
                                const ListenEnv& inherited, const Handles& handles) {
  MonitorStart start;
  const bool wants_pidfdid = inherited.has_pidfdid || !options.listen.empty();
  start.received = {environment,          inherited.count,
                    inherited.fdnames,    wants_pidfdid && observe_self().pidfdid.has_value(),
                    options.preserve_fds, pid_variables_naming(environment, ::getpid())};
  for (std::size_t i = 0; i < options.listen.size(); ++i) {
    start.own_sockets.push_back({handles.own_sockets[i], options.listen[i].text});
  }
  start.fdnames = fdnames(inherited, options.listen);
  // Behind everything that is passed to the payload: the monitor's sync pipe here, the shim's there.
  start.reserved = handles.reserved;
  const int first_handshake_fd =
      start.received.end() + static_cast<int>(options.listen.size()) + start.reserved;
  start.command = monitor_command(options, environment, handles, first_handshake_fd);
  start.sync_source = handles.sync;
  start.start_source = handles.start;
  start.keep_notify_socket = options.sdnotify == SdNotify::container;
  return start;
}

Contract make_contract(const RunOptions& options, const Arrival& arrival, const Sockets& sockets) {
  Contract contract;
  // A profile may read less or more into the announcement than it says.
  const auto* const told = std::get_if<ListenEnv>(&arrival.listen);
  const ListenEnv& announced = told != nullptr && !arrival.missing ? *told : sockets.inherited;
  const auto names = all_names(announced, options.listen);
  contract.has_names = fdnames(announced, options.listen).has_value();
  const auto add = [&](int source) {
    auto row = observe_fd(source);
    if (!row) return;
    const std::size_t index = contract.sockets.size();
    const int target = listen_fds_start + static_cast<int>(index);
    row->number = target;
    contract.sockets.push_back({target, names[index], std::move(*row)});
  };
  for (int fd = listen_fds_start; fd < announced.end(); ++fd) add(fd);
  for (const Opened& opened : sockets.opened) add(opened.fd.get());
  const int end = sockets.inherited.end() + options.preserve_fds;
  for (int fd = announced.end(); fd < end; ++fd) {
    auto row = observe_fd(fd);
    if (!row) continue;
    row->number = fd + static_cast<int>(sockets.opened.size());
    contract.preserved.push_back(std::move(*row));
  }
  contract.notify_payload =
      options.sdnotify == SdNotify::container && arrival.environment.get(notify_socket_name).has_value();
  return contract;
}

}  // namespace fdchain
