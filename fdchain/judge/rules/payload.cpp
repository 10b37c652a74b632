// Rules of what the payload makes of what it was given.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "fdchain/judge/rules/rules.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/number.h"
#include "fdchain/model/variables.h"

namespace fdchain::rules {
namespace {

// What people call it: its name, or where it listens.
std::string short_name(const ContractSocket& socket) {
  if (socket.name != unnamed_socket) return socket.name;
  return socket.row.socket && !socket.row.socket->local.empty() ? socket.row.socket->local : socket.row.type;
}

// By whoever had it to the end.
int most_waiting(const Evidence& evidence, const ContractSocket& socket) {
  int most = 0;
  for (const Hop hop : all_hops) {
    const HopRecord* const record = evidence.of(hop).after_exit;
    if (record == nullptr) continue;
    for (const FdRow& row : record->queues) {
      if (row.socket && is_socket_of(socket, row)) most = std::max(most, row.socket->waiting.value_or(0));
    }
  }
  return most;
}

}  // namespace

void waiting_clients(const Evidence& evidence, Findings& findings) {
  const HopRecord* const payload = evidence.of(Hop::payload).received();
  // A payload that was told wrongly, or did not get a socket, cannot accept anybody: that has its own cause.
  if (payload == nullptr || evidence.misled()) return;
  for (const ContractSocket& socket : evidence.contract().sockets) {
    const int waiting = most_waiting(evidence, socket);
    if (waiting == 0 || evidence.rows_with(*payload, socket.row).empty()) continue;
    Finding finding = make("client-waiting", Hop::payload, socket.fd, Severity::warning);
    finding.socket = describe(socket);
    finding.evidence =
        fmt::format("at the end {} client{} waited on {}: the payload did not accept {}", waiting,
                    waiting == 1 ? "" : "s", short_name(socket), waiting == 1 ? "it" : "them");
    finding.advice =
        "accept on what LISTEN_FDS counts, from 3 on, instead of a socket that you open yourself";
    blame(finding, evidence, {{Hop::payload}});
    findings.add(std::move(finding));
  }
}

namespace {

Finding of_payload(std::string id, const HopRecord& culprit, Severity severity = Severity::error) {
  Finding finding = make(std::move(id), Hop::payload, severity);
  finding.culprit = Hop::payload;
  finding.culprit_program = program_of(culprit);
  finding.culprit_pid = culprit.pid;
  return finding;
}

// By the number that it has for itself: what its own messages and LISTEN_PID say.
std::string describe_process(const HopRecord& record) {
  return fmt::format("{} (pid {})", program_of(record), record.pid_in_namespace);
}

std::string ordinal(std::size_t number) {
  constexpr std::array words{"first", "second", "third", "fourth", "fifth"};
  return number <= words.size() ? words.at(number - 1) : std::to_string(number) + "th";
}

// Whether it is told of the socket, whatever it has.
bool is_announced(const HopRecord& record, const ContractSocket& socket) {
  return announced_count(record).value_or(0) > socket.fd - listen_fds_start;
}

bool has(const Evidence& evidence, const HopRecord& record, const ContractSocket& socket) {
  return !evidence.rows_with(record, socket.row).empty();
}

// Where who counts from 3 on looks for it.
bool has_in_place(const HopRecord& record, const ContractSocket& socket) {
  const FdRow* const row = row_at(record.fds, socket.fd);
  return row != nullptr && row->same_object(socket.row);
}

void tell_lost(const Evidence& evidence, Findings& findings, const HopRecord& before, const HopRecord& after,
               std::size_t number) {
  for (const ContractSocket& socket : evidence.contract().sockets) {
    if (!is_announced(after, socket) || !has_in_place(before, socket) || has_in_place(after, socket))
      continue;
    Finding finding = of_payload("payload-lost-socket", before);
    finding.fd = socket.fd;
    finding.socket = describe(socket);
    finding.evidence = fmt::format(
        "{} closed {}, moved it, or made it close-on-exec, before its {} exec: {} is told of {} and does not "
        "have "
        "it there",
        describe_process(before), socket.fd, ordinal(number), program_of(after), describe(socket));
    finding.advice = fmt::format("leave {} and above as they are until the daemon has them: no `exec {}>&-`",
                                 listen_fds_start, socket.fd);
    findings.add(std::move(finding));
  }
}

bool has_failed(const HopRecord& end) {
  return end.ended && end.ended->starts_with("exited") && *end.ended != "exited with status 0";
}

// What the payload was at last, itself; and the last program of each child that it began since.
struct LastPrograms {
  const HopRecord* payload = nullptr;
  std::vector<const HopRecord*> children;
};

LastPrograms last_programs(const HopEvidence& seen) {
  LastPrograms last{seen.at_exec, {}};
  for (const HopRecord* const record : seen.later) {
    if (record->pid == last.payload->pid) {
      last = {record, {}};
      continue;
    }
    std::erase_if(last.children, [&](const HopRecord* child) { return child->pid == record->pid; });
    last.children.push_back(record);
  }
  return last;
}

// How a process of the payload's ended; null where that is not known.
const HopRecord* end_of(const HopEvidence& seen, pid_t pid) {
  const auto found = std::ranges::find_if(seen.ends, [&](const HopRecord* end) { return end->pid == pid; });
  return found == seen.ends.end() ? nullptr : *found;
}

// A child that is told of sockets, and that they are another's: that of who forked, which was to exec.
bool is_refused_its_sockets(const Evidence& evidence, const HopRecord& child) {
  const auto pid = variable(child, listen_pid_name);
  const bool is_own =
      pid && parse_unsigned_as_systemd(*pid).value == static_cast<unsigned long>(child.pid_in_namespace);
  return pid && !is_own && std::ranges::any_of(evidence.contract().sockets, [&](const auto& socket) {
           return is_announced(child, socket) && has(evidence, child, socket);
         });
}

bool somebody_waits(const Evidence& evidence) {
  return std::ranges::any_of(evidence.contract().sockets,
                             [&](const auto& socket) { return most_waiting(evidence, socket) > 0; });
}

}  // namespace

void lost_by_payload(const Evidence& evidence, Findings& findings) {
  const HopEvidence& seen = evidence.of(Hop::payload);
  const HopRecord* before = seen.at_exec;
  std::size_t number = 1;
  for (const HopRecord* const after : seen.later) {
    if (before == nullptr || after->pid != before->pid) continue;
    tell_lost(evidence, findings, *before, *after, ++number);
    before = after;
  }
}

// A helper may have the variables too, and need not heed them: only who failed as the payload did, or let a
// client wait, may have been the one that was to adopt the sockets. That is no proof, and so a warning.
void forked(const Evidence& evidence, Findings& findings) {
  const HopEvidence& seen = evidence.of(Hop::payload);
  if (seen.at_exec == nullptr || evidence.misled()) return;
  const auto [payload, children] = last_programs(seen);
  const HopRecord* const end = end_of(seen, payload->pid);
  const HopRecord* refused = nullptr;
  for (const HopRecord* const child : children) {
    const HopRecord* const own_end = end_of(seen, child->pid);
    const bool failed_alike =
        end != nullptr && own_end != nullptr && has_failed(*own_end) && own_end->ended == end->ended;
    if ((failed_alike || somebody_waits(evidence)) && is_refused_its_sockets(evidence, *child))
      refused = child;
  }
  if (refused == nullptr) return;
  Finding finding = of_payload("payload-forked", *payload, Severity::warning);
  finding.fd = listen_fds_start;
  finding.evidence =
      fmt::format("{} forked; {}, if it was to adopt the sockets, wants LISTEN_PID={} and it names {}",
                  describe_process(*payload), describe_process(*refused), refused->pid_in_namespace,
                  *variable(*refused, listen_pid_name));
  finding.advice = fmt::format("if it is the daemon, let {} exec it: `exec {}`", program_of(*payload),
                               program_of(*refused));
  findings.add(std::move(finding));
}

// The run ends with the payload, whoever it has left.
void left_by_payload(const Evidence& evidence, Findings& findings) {
  const HopEvidence& seen = evidence.of(Hop::payload);
  if (seen.at_exec == nullptr) return;
  const auto payload = last_programs(seen).payload;
  const HopRecord* const end = end_of(seen, payload->pid);
  if (end == nullptr || !end->ended) return;
  for (const HopRecord* const left : seen.ends) {
    if (left->ended) continue;
    std::string held;
    for (const ContractSocket& socket : evidence.contract().sockets) {
      if (has(evidence, *left, socket)) held.append(held.empty() ? "" : ", ").append(describe(socket));
    }
    const bool is_daemon = *end->ended == "exited with status 0" && left->sid != end->sid &&
                           (!held.empty() || left->exe == payload->exe);
    if (!is_daemon && held.empty()) continue;
    Finding finding = is_daemon ? of_payload("payload-daemonized", *payload)
                                : of_payload("payload-child-holds", *payload, Severity::warning);
    const std::string with = held.empty() ? "" : " with " + held;
    finding.evidence =
        is_daemon ? fmt::format("{} {}, and {} lives on in a session of its own{}",
                                describe_process(*payload), *end->ended, describe_process(*left), with)
                  : fmt::format("{} {}, and its child {} still holds {}", describe_process(*payload),
                                *end->ended, describe_process(*left), held);
    finding.advice =
        is_daemon ? "start it in the foreground: --foreground, --no-fork or the like"
                  : "wait for every child, and do not give the sockets to one that has no use for them";
    findings.add(std::move(finding));
  }
}

}  // namespace fdchain::rules
