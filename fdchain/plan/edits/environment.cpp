// Faults of what is announced: LISTEN_*, the handshake's variables, NOTIFY_SOCKET.

#include <algorithm>
#include <array>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/variables.h"
#include "fdchain/plan/edits/catalogue.h"
#include "fdchain/plan/edits/edits.h"

namespace fdchain::faults {
namespace {

// LISTEN_PID as if it had come with this value and been passed on.
void freeze_listen_pid(HopPlan& plan, const std::string& value) {
  plan.next.name_pid = false;
  plan.next.environment.set(listen_pid_name, value);
}

void keep_listen_pid(HopPlan& plan, const Numbers&, const HopContext& context) {
  need_sockets(context);
  freeze_listen_pid(plan,
                    std::string(context.arrived.get(listen_pid_name).value_or(std::to_string(context.pid))));
}

void set_listen_pid(HopPlan& plan, const Numbers& numbers, const HopContext& context) {
  need_sockets(context);
  freeze_listen_pid(plan, std::to_string(numbers[0]));
}

// What `sh -c 'PROGRAM; :'` does: the shell forks, and LISTEN_PID names the shell.
void fork_wrapper(HopPlan& plan, const Numbers&, const HopContext& context) {
  need_sockets(context);
  std::vector<std::string> argv{"sh", "-c", "\"$@\"; exit $?", "sh"};
  argv.push_back(plan.next.program);
  argv.insert(argv.end(), plan.next.argv.begin() + 1, plan.next.argv.end());
  plan.next.program = "/bin/sh";
  plan.next.argv = std::move(argv);
}

void keep_listen_pidfdid(HopPlan& plan, const Numbers&, const HopContext& context) {
  if (!plan.next.name_pidfdid) nothing_to_do("LISTEN_PIDFDID is not passed on here");
  plan.next.name_pidfdid = false;
  plan.next.environment.set(listen_pidfdid_name, context.arrived.get(listen_pidfdid_name).value_or("1"));
}

void keep_watchdog_pid(HopPlan& plan, const Numbers&, const HopContext& context) {
  if (std::erase(plan.next.pid_variables, watchdog_pid_name) == 0)
    nothing_to_do("WATCHDOG_PID does not name this hop: it takes a unit with WatchdogSec=");
  plan.next.environment.set(watchdog_pid_name, context.arrived.get(watchdog_pid_name).value_or(""));
}

void announce_count(HopPlan& plan, int count) {
  plan.next.environment.set(listen_fds_name, std::to_string(count));
}

void announce_more(HopPlan& plan, const Numbers& numbers, const HopContext& context) {
  if (numbers[0] < 1) nothing_to_do("that is no more than there are");
  // As many more as it takes to announce a number that is not open.
  announce_count(plan, std::max(context.sockets, end_of_passed(plan.next) - listen_fds_start) + numbers[0]);
}

void announce_fewer(HopPlan& plan, const Numbers& numbers, const HopContext& context) {
  if (numbers[0] < 1 || context.sockets <= numbers[0]) nothing_to_do("there are not more sockets than that");
  announce_count(plan, context.sockets - numbers[0]);
  const auto fdnames = plan.next.environment.get(listen_fdnames_name);
  if (!fdnames) return;
  auto names = split_fdnames(*fdnames);
  names.resize(names.size() - static_cast<std::size_t>(numbers[0]));
  plan.next.environment.set(listen_fdnames_name, join_fdnames(names));
}

void drop_listen_pid(HopPlan& plan, const Numbers&, const HopContext& context) {
  need_sockets(context);
  plan.next.name_pid = false;
  plan.next.environment.unset(listen_pid_name);
}

void drop_listen_fds(HopPlan& plan, const Numbers&, const HopContext& context) {
  need_sockets(context);
  plan.next.environment.unset(listen_fds_name);
}

void drop_listen_env(HopPlan& plan, const Numbers&, const HopContext& context) {
  need_sockets(context);
  plan.next.name_pid = plan.next.name_pidfdid = false;
  unset_listen_env(plan.next.environment);
}

void leak_listen_env(HopPlan& plan, const Numbers&, const HopContext& context) {
  if (context.sockets > 0) nothing_to_do("sockets are passed on here: LISTEN_* belongs to them");
  announce_count(plan, 1);
  plan.next.name_pid = true;
}

void keep_handshake_env(HopPlan& plan, const Numbers&, const HopContext& context) {
  const auto number = context.arrived.get(sync_pipe_name);
  if (!number) nothing_to_do("there is no handshake here");
  plan.next.environment.set(sync_pipe_name, *number);
}

void handshake_off(HopPlan& plan, const Numbers& numbers, const HopContext&) {
  for (const auto name : {sync_pipe_name, start_pipe_name}) {
    const auto number = plan.next.environment.get(name);
    if (!number) nothing_to_do("there is no handshake here");
    plan.next.environment.set(name, std::to_string(std::stoi(std::string(*number)) + numbers[0]));
  }
}

void leak_notify_socket(HopPlan& plan, const Numbers&, const HopContext& context) {
  const auto socket = context.arrived.get(notify_socket_name);
  if (!socket || plan.next.environment.get(notify_socket_name)) {
    nothing_to_do("NOTIFY_SOCKET is not kept from anybody here: it takes --sdnotify ignore or conmon");
  }
  plan.next.environment.set(notify_socket_name, *socket);
}

void drop_notify_socket(HopPlan& plan, const Numbers&, const HopContext&) {
  if (!plan.next.environment.get(notify_socket_name)) nothing_to_do("NOTIFY_SOCKET is not passed on here");
  plan.next.environment.unset(notify_socket_name);
}

void redirect_notify_socket(HopPlan& plan, const Numbers&, const HopContext&) {
  const auto socket = plan.next.environment.get(notify_socket_name);
  if (!socket) nothing_to_do("NOTIFY_SOCKET is not passed on here");
  plan.next.environment.set(notify_socket_name, std::string(*socket) + "/notify");
}

std::vector<std::string> names_or_refuse(const HopPlan& plan) {
  const auto fdnames = plan.next.environment.get(listen_fdnames_name);
  if (!fdnames) nothing_to_do("no names are passed on here");
  return split_fdnames(*fdnames);
}

void drop_fdnames(HopPlan& plan, const Numbers&, const HopContext&) {
  names_or_refuse(plan);
  plan.next.environment.unset(listen_fdnames_name);
}

void rotate_fdnames(HopPlan& plan, const Numbers&, const HopContext&) {
  auto names = names_or_refuse(plan);
  if (std::ranges::adjacent_find(names, std::ranges::not_equal_to()) == names.end())
    nothing_to_do("all names are alike");
  std::rotate(names.begin(), names.begin() + 1, names.end());
  plan.next.environment.set(listen_fdnames_name, join_fdnames(names));
}

void extra_fdname(HopPlan& plan, const Numbers&, const HopContext&) {
  auto names = names_or_refuse(plan);
  names.emplace_back("extra");
  plan.next.environment.set(listen_fdnames_name, join_fdnames(names));
}

void repeat_fdname(HopPlan& plan, const Numbers&, const HopContext&) {
  auto names = names_or_refuse(plan);
  const std::string last = names.back();
  if (std::ranges::count(names, last) == static_cast<std::ptrdiff_t>(names.size()))
    nothing_to_do("all names are alike");
  std::ranges::fill(names, last);
  plan.next.environment.set(listen_fdnames_name, join_fdnames(names));
}

// In place, what came is right: the pid stays.
constexpr Hops hops_that_fork{Hop::launcher, Hop::monitor};
constexpr Hops with_activator{Hop::activator, Hop::launcher, Hop::monitor, Hop::runtime_shim};

constexpr std::array table{
    Fault{
        .name = "keep-listen-pid",
        .hops = hops_that_fork,
        .bug_class = 'A',
        .bug = "conmon rewrites LISTEN_PID only if it names its parent (cri-o PR 1300)",
        .finding = "listen-pid-stale",
        .summary = "pass LISTEN_PID on as it came, so the next hop ignores its sockets",
        .edit = keep_listen_pid,
    },
    Fault{
        .name = "set-listen-pid",
        .argument = "N",
        .standard = {1},
        .hops = with_activator,
        .bug_class = 'A',
        .bug = "podman writes LISTEN_PID=1, also with --pid=host (podman 10443, crun PR 721)",
        .finding = "listen-pid-stale",
        .summary = "write a fixed number into LISTEN_PID",
        .edit = set_listen_pid,
    },
    Fault{
        .name = "fork-wrapper",
        .hops = every_hop,
        .bug_class = 'A',
        .bug = "an entrypoint of `sh -c 'daemon; :'` forks (socketmaster 10, rootlesskit 428)",
        .finding = "listen-pid-stale",
        .summary = "start the next program from a shell that forks",
        .by_wrapper = true,
        .edit = fork_wrapper,
    },
    Fault{
        .name = "keep-listen-pidfdid",
        .hops = hops_that_fork,
        .bug_class = 'A',
        .bug = "a program that forks and knows LISTEN_PID alone, under systemd 259",
        .finding = "listen-pidfdid-stale",
        .summary = "pass LISTEN_PIDFDID on as it came",
        .edit = keep_listen_pidfdid,
    },
    Fault{
        .name = "keep-watchdog-pid",
        .hops = hops_that_fork,
        .bug_class = 'A',
        .bug = "with PrivatePIDs= systemd named another process in WATCHDOG_PID than the service",
        .finding = "pid-variable-stale",
        .summary = "pass WATCHDOG_PID on as it came, so the payload feeds no watchdog",
        .edit = keep_watchdog_pid,
    },
    Fault{
        .name = "announce-more",
        .argument = "N",
        .standard = {1},
        .hops = with_activator,
        .bug_class = 'D',
        .bug = "podman trusts LISTEN_FDS=1 with nothing behind it (podman 20968)",
        .finding = "fd-announced-missing",
        .summary = "count N sockets too many in LISTEN_FDS",
        .edit = announce_more,
    },
    Fault{
        .name = "announce-fewer",
        .argument = "N",
        .standard = {1},
        .hops = every_hop,
        .bug_class = 'D',
        .bug = "--preserve-fds=1 with LISTEN_FDS=2: sum, maximum or the smaller (podman PR 10448)",
        .finding = "preserve-count-wrong",
        .summary = "count N sockets too few in LISTEN_FDS",
        .edit = announce_fewer,
    },
    Fault{
        .name = "handshake-off",
        .argument = "N",
        .standard = {-1},
        .hops = {Hop::launcher},
        .bug_class = 'E',
        .bug = "podman computed _OCI_*PIPE before the preserved descriptors (podman 4020)",
        .finding = "handshake-collision",
        .summary = "announce the handshake descriptors N numbers away",
        .edit = handshake_off,
    },
    Fault{
        .name = "drop-listen-pid",
        .hops = with_activator,
        .bug_class = 'G',
        .bug = "podman forwarded LISTEN_FDS without LISTEN_PID (podman PR 271)",
        .finding = "env-dropped",
        .summary = "pass the sockets and LISTEN_FDS, not LISTEN_PID",
        .edit = drop_listen_pid,
    },
    Fault{
        .name = "drop-listen-fds",
        .hops = with_activator,
        .bug_class = 'G',
        .bug = "crun alone sets LISTEN_PID in the payload and not LISTEN_FDS (container.c)",
        .finding = "env-dropped",
        .summary = "pass the sockets and LISTEN_PID, not LISTEN_FDS",
        .edit = drop_listen_fds,
    },
    Fault{
        .name = "drop-listen-env",
        .hops = with_activator,
        .bug_class = 'G',
        .bug = "podman passed the descriptors and no variable (podman 10443)",
        .finding = "env-dropped",
        .summary = "pass the sockets without a word about them",
        .edit = drop_listen_env,
    },
    Fault{
        .name = "leak-listen-env",
        .hops = every_hop,
        .bug_class = 'H',
        .bug = "a shell below lorri keeps LISTEN_* of long ago (lorri 158)",
        .finding = "env-leaked",
        .summary = "announce a socket where there is none",
        .edit = leak_listen_env,
    },
    Fault{
        .name = "keep-handshake-env",
        .hops = {Hop::monitor},
        .bug_class = 'H',
        .bug = "conmon leaves _OCI_SYNCPIPE in the runtime's environment",
        .finding = "env-leaked",
        .summary = "pass _OCI_SYNCPIPE on to the runtime",
        .edit = keep_handshake_env,
    },
    Fault{
        .name = "leak-notify-socket",
        .hops = {Hop::launcher},
        .bug_class = 'H',
        .bug = "docker let containerd inherit NOTIFY_SOCKET (moby PR 21709)",
        .finding = "env-leaked",
        .summary = "pass NOTIFY_SOCKET on although --sdnotify keeps it",
        .edit = leak_notify_socket,
    },
    Fault{
        .name = "drop-fdnames",
        .hops = every_hop,
        .bug_class = 'I',
        .bug = "runc re-creates LISTEN_FDS and LISTEN_PID, not LISTEN_FDNAMES (utils_linux.go)",
        .finding = "fdnames-mismatch",
        .summary = "lose LISTEN_FDNAMES",
        .edit = drop_fdnames,
    },
    Fault{
        .name = "rotate-fdnames",
        .hops = every_hop,
        .bug_class = 'I',
        .bug = "the order of two socket units is undefined (systemd 16647)",
        .finding = "fdnames-mismatch",
        .summary = "put every name on the next socket",
        .edit = rotate_fdnames,
    },
    Fault{
        .name = "extra-fdname",
        .hops = with_activator,
        .bug_class = 'I',
        .bug = "a name with a colon in it counts as two (podman-traefik-socket-activation 2)",
        .finding = "fdnames-mismatch",
        .summary = "give one name more than there are sockets",
        .edit = extra_fdname,
    },
    Fault{
        .name = "repeat-fdname",
        .hops = every_hop,
        .bug_class = 'I',
        .bug = "FileDescriptorName= names every socket of its unit alike (traefik 9891)",
        .finding = "fdnames-mismatch",
        .summary = "give every socket the last one's name",
        .edit = repeat_fdname,
    },
    Fault{
        .name = "drop-notify-socket",
        .hops = every_hop,
        .bug_class = 'O',
        .bug = "messages of a payload outside the unit's cgroup are lost (podman 10677)",
        .finding = "notify-lost",
        .summary = "take NOTIFY_SOCKET away from the payload",
        .edit = drop_notify_socket,
    },
    Fault{
        .name = "redirect-notify-socket",
        .hops = every_hop,
        .bug_class = 'O',
        .bug = "NOTIFY_SOCKET named a path that did not exist (podman 746, crun)",
        .finding = "notify-lost",
        .summary = "point NOTIFY_SOCKET where nobody listens",
        .edit = redirect_notify_socket,
    },
};

}  // namespace

std::span<const Fault> environment_faults() { return table; }

}  // namespace fdchain::faults
