#include "launcher/hand_over.h"

#include "fdchain/program/checkpoint.h"
#include "fdchain/protocol/sync_pipe.h"

namespace fdchain {
namespace {

// All names, once one socket has one: inherited sockets keep theirs, the others are `unknown`, as
// sd_listen_fds_with_names(3) calls them.
std::optional<std::string> fdnames(const Sockets& sockets, const std::vector<ListenSpec>& listen) {
  bool named = sockets.inherited.fdnames.has_value();
  for (const ListenSpec& spec : listen) named |= spec.name.has_value();
  if (!named) return std::nullopt;
  if (listen.empty()) return sockets.inherited.fdnames;
  std::vector<std::string> names(static_cast<std::size_t>(sockets.inherited.count),
                                 std::string(unnamed_socket));
  if (sockets.inherited.fdnames) names = split_fdnames(*sockets.inherited.fdnames);
  for (const ListenSpec& spec : listen) names.push_back(spec.name.value_or(std::string(unnamed_socket)));
  return join_fdnames(names);
}

std::vector<Passed> passed_on(const RunOptions& options, const Sockets& sockets, const SocketPair& sync,
                              const SocketPair& start) {
  std::vector<Passed> passed;
  int target = listen_fds_start;
  if (sockets.inherited.count > 0) {
    passed.push_back({listen_fds_start, target, sockets.inherited.count, true, "socket"});
    target += sockets.inherited.count;
  }
  for (std::size_t i = 0; i < sockets.opened.size(); ++i) {
    passed.push_back({sockets.opened[i].fd.get(), target++, 1, false, "socket " + options.listen[i].text});
  }
  if (options.preserve_fds > 0) {
    passed.push_back({sockets.inherited.end(), target, options.preserve_fds, false, "preserved descriptor"});
    target += options.preserve_fds;
  }
  passed.push_back({sync.theirs.get(), target++, 1, false, "sync pipe"});
  passed.push_back({start.theirs.get(), target++, 1, false, "start pipe"});
  return passed;
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
std::vector<std::string> monitor_command(const RunOptions& options, const Sockets& sockets,
                                         int runtime_sync_fd) {
  std::vector<std::string> words{options.monitor};
  add_option(words, "--name", options.name);
  add_option(words, "--log", to_string(options.log));
  add_option(words, "--timeout", options.timeout);
  add_option(words, "--exit-file", options.exit_file);
  add_option(words, "--preserve-fds", options.preserve_fds);
  for (const Opened& opened : sockets.opened) {
    if (!opened.made) continue;
    add_option(words, opened.made->kind() == MadeName::Kind::path ? "--remove-path" : "--remove-queue",
               opened.made->name());
  }
  add_option(words, "--runtime-sync-fd", runtime_sync_fd);
  words.insert(words.end(), {"--", options.runtime});
  add_option(words, "--sync-fd", runtime_sync_fd);
  add_option(words, "--preserve-fds", options.preserve_fds);
  add_option(words, "--workdir", options.workdir);
  for (const std::string& assignment : options.environment) add_option(words, "--env", assignment);
  words.emplace_back("--");
  words.insert(words.end(), options.payload.begin(), options.payload.end());
  return words;
}

}  // namespace

HandOver hand_over_to_monitor(const RunOptions& options, const Arrival& arrival, const Sockets& sockets,
                              const SocketPair& sync, const SocketPair& start) {
  // Behind everything that is passed to the payload: the monitor's sync pipe here, the shim's there.
  const int first_handshake_fd = listen_fds_start + sockets.count() + options.preserve_fds;
  HandOver next;
  next.from = Hop::launcher;
  next.program = options.monitor;
  next.argv = monitor_command(options, sockets, first_handshake_fd);
  next.environment = arrival.environment;
  announce(next.environment, sockets.count(), fdnames(sockets, options.listen));
  next.environment.set(sync_pipe_name, std::to_string(first_handshake_fd));
  next.environment.set(start_pipe_name, std::to_string(first_handshake_fd + 1));
  if (options.sdnotify != SdNotify::container) next.environment.unset("NOTIFY_SOCKET");
  next.passed = passed_on(options, sockets, sync, start);
  next.name_pid = sockets.count() > 0;
  const bool wants_pidfdid = sockets.inherited.has_pidfdid || !sockets.opened.empty();
  next.name_pidfdid = wants_pidfdid && observe_self().pidfdid.has_value();
  next.new_session = true;
  add_departure_checkpoint(arrival.environment, next);
  return next;
}

}  // namespace fdchain
