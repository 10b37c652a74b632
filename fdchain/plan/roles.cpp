#include "fdchain/plan/roles.h"

#include <array>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/variables.h"

namespace fdchain {

int Received::end() const { return listen_fds_start + sockets + preserved; }

HandOver pass_on(Hop from, const Received& received) {
  HandOver next;
  next.from = from;
  next.environment = received.environment;
  announce(next.environment, received.sockets, received.fdnames);
  next.name_pid = received.sockets > 0;
  next.name_pidfdid = received.sockets > 0 && received.name_pidfdid;
  next.pid_variables = received.pid_variables;
  const int end = listen_fds_start + received.sockets;
  if (received.sockets > 0)
    next.passed.push_back({listen_fds_start, listen_fds_start, received.sockets, true, "socket"});
  if (received.preserved > 0)
    next.passed.push_back({end, end, received.preserved, false, "preserved descriptor"});
  return next;
}

HandOver hand_over_to_monitor(const MonitorStart& start) {
  const int own = static_cast<int>(start.own_sockets.size());
  HandOver next = pass_on(Hop::launcher, start.received);
  const int count = start.received.sockets + own;
  announce(next.environment, count, start.fdnames);
  next.name_pid = count > 0;
  next.name_pidfdid = count > 0 && start.received.name_pidfdid;
  // Own sockets come between the received ones and what is preserved.
  if (start.received.preserved > 0) next.passed.back().target += own;
  int target = listen_fds_start + start.received.sockets;
  for (const OwnSocket& socket : start.own_sockets) {
    next.passed.push_back({socket.source, target++, 1, false, "socket " + socket.text});
  }
  const int first_handshake_fd = start.received.end() + own + start.reserved;
  next.passed.push_back({start.sync_source, first_handshake_fd, 1, false, "sync pipe"});
  next.passed.push_back({start.start_source, first_handshake_fd + 1, 1, false, "start pipe"});
  next.environment.set(sync_pipe_name, std::to_string(first_handshake_fd));
  next.environment.set(start_pipe_name, std::to_string(first_handshake_fd + 1));
  if (!start.keep_notify_socket) next.environment.unset(notify_socket_name);
  next.program = start.command.front();
  next.argv = start.command;
  next.new_session = true;
  return next;
}

namespace {

void pass_stdio(HandOver& next, const std::optional<std::vector<int>>& stdio,
                const std::array<const char*, 3>& names) {
  for (std::size_t i = 0; stdio && i < names.size(); ++i) {
    const int number = static_cast<int>(i);
    if ((*stdio)[i] != number) next.passed.push_back({(*stdio)[i], number, 1, false, names[i]});
  }
}

}  // namespace

HandOver hand_over_to_conmon(const MonitorStart& start) {
  HandOver next = hand_over_to_monitor(start);
  unset_listen_env(next.environment);
  next.environment.unset(notify_socket_name);
  next.name_pid = next.name_pidfdid = false;
  next.pid_variables.clear();  // as it came, like podman: no container hears of it
  next.new_session = false;    // it makes its own
  return next;
}

HandOver hand_over_to_runtime(const RuntimeStart& start) {
  HandOver next = pass_on(Hop::monitor, start.received);
  next.environment.unset(sync_pipe_name);
  next.environment.unset(start_pipe_name);
  next.program = start.program;
  next.argv = start.command;
  next.die_with_parent = start.monitor_pid;
  if (start.sync_source >= 0)
    next.passed.push_back({start.sync_source, start.sync_target, 1, false, "sync pipe"});
  static constexpr std::array names{"stdin: nothing to read", "stdout: the log", "stderr: the log"};
  pass_stdio(next, start.stdio, names);
  return next;
}

HandOver hand_over_to_oci_runtime(const OciRuntimeStart& start) {
  HandOver next;
  next.from = Hop::monitor;
  next.environment = start.environment;
  for (const auto name : {sync_pipe_name, start_pipe_name, attach_pipe_name}) next.environment.unset(name);
  next.program = start.command.front();
  next.argv = start.command;
  next.passed = start.announced;
  next.name_pid = start.name_pid;
  next.die_with_parent = start.monitor_pid;
  static constexpr std::array names{"stdin of the container", "stdout of the container",
                                    "stderr of the container"};
  pass_stdio(next, start.stdio, names);
  return next;
}

HandOver hand_over_to_exit_command(const Environment& environment, const std::vector<std::string>& command) {
  HandOver next;
  next.from = Hop::monitor;
  next.environment = environment;
  for (const auto name : {sync_pipe_name, start_pipe_name, attach_pipe_name, listen_fds_name, listen_pid_name,
                          listen_fdnames_name, listen_pidfdid_name})
    next.environment.unset(name);
  next.program = command.front();
  next.argv = command;
  return next;
}

Environment payload_environment(const Environment& received, const std::vector<std::string>& assignments) {
  Environment environment = received;
  for (const std::string& assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    environment.set(assignment.substr(0, equals), assignment.substr(equals + 1));
  }
  return environment;
}

namespace {

// Whoever wrote the configuration could not know the pid outside a pid namespace.
void announce_as_configured(HandOver& next, const std::vector<std::string>& config) {
  const Environment configured(config);
  for (const auto name : {listen_fds_name, listen_fdnames_name, listen_pid_name}) {
    if (const auto value = configured.get(name)) next.environment.set(name, *value);
  }
  next.name_pid |= configured.get(listen_pid_name) && configured.get(listen_fds_name);
}

// What of the isolation only the payload's own process can do, on its way to exec.
void isolate(HandOver& next, const PayloadStart& start) {
  const Isolation& isolation = start.isolation;
  const bool has_root = !isolation.rootfs.empty();
  next.outer_parent = start.parent_pidfd;
  // A /proc shows the pid namespace of whoever mounts it.
  if (isolation.pid) next.place.proc = isolation.rootfs + "/proc";
  next.place.own_mounts = isolation.pid;
  next.place.root = isolation.rootfs;
  if (has_root) next.place.directory = start.workdir.empty() ? "/" : start.workdir;
  // Nobody can write the trace's file from a root where it is not.
  if (has_root) next.environment.unset(trace_name);
}

}  // namespace

HandOver hand_over_to_payload(const PayloadStart& start) {
  Received received = start.received;
  received.environment = payload_environment(start.received.environment, start.assignments);
  HandOver next = pass_on(Hop::runtime_shim, received);
  announce_as_configured(next, start.config);
  // What the payload is given by name it is given as it was said.
  const Environment assigned(start.assignments);
  std::erase_if(next.pid_variables, [&](std::string_view name) { return assigned.get(name).has_value(); });
  next.program = start.program;
  next.argv = start.command;
  next.ready_fd = start.ready_fd;
  isolate(next, start);
  return next;
}

}  // namespace fdchain
