// Rules of what is announced. An announcement is judged at the first hop that received a wrong one; what a
// misled hop announces further is a consequence.

#include <algorithm>
#include <utility>

#include "fdchain/judge/rules/rules.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/number.h"
#include "fdchain/model/variables.h"

namespace fdchain::rules {
namespace {

// Calls `judge(hop, record, before)` for every hop that received something, up to the first that was misled.
template <typename Judge>
void for_each_recipient(const Evidence& evidence, Judge judge) {
  for (const Hop hop : all_hops) {
    if (!evidence.is_upstream(hop)) return;
    if (const HopRecord* const record = evidence.given_to(hop)) judge(hop, *record, evidence.before(hop));
  }
}

// A listening socket at 3: somebody meant to pass it.
bool looks_activated(const HopRecord& record) {
  const FdRow* const first = row_at(record.fds, listen_fds_start);
  return first != nullptr && first->socket && first->socket->listening;
}

}  // namespace

void listen_pid(const Evidence& evidence, Findings& findings) {
  std::optional<std::string> told;  // once: a hop that need not heed it passes it on
  for_each_recipient(evidence, [&](Hop hop, const HopRecord& record, Hop) {
    const auto pid = variable(record, listen_pid_name);
    const bool by_count = told_by_count(evidence, hop, record);
    if (pid && by_count && !names_itself(record) && std::exchange(told, pid) == pid) return;
    if (!pid || names_itself(record) || record.replaces_listen_pid ||
        !(has_sockets(evidence, record) || looks_activated(record)))
      return;
    Finding finding = make("listen-pid-stale", hop, by_count ? Severity::warning : Severity::error);
    finding.evidence = "LISTEN_PID=" + *pid + ", and " + std::string(to_string(hop)) + " is process " +
                       std::to_string(record.pid_in_namespace) +
                       (by_count              ? ": only --preserve-fds tells it of its sockets"
                        : hop == Hop::payload ? ": it must ignore its sockets"
                                              : ": a program that checks it ignores the sockets");
    finding.advice =
        "write the pid into LISTEN_PID in the child, after its last fork and before exec; let wrappers exec, "
        "not fork";
    blame(finding, evidence, evidence.actors_into(hop, [](const HopRecord& seen) {
      return !variable(seen, listen_pid_name) || names_itself(seen);
    }));
    findings.add(std::move(finding));
  });
}

void listen_pidfdid(const Evidence& evidence, Findings& findings) {
  for_each_recipient(evidence, [&](Hop hop, const HopRecord& record, Hop) {
    const auto id = variable(record, listen_pidfdid_name);
    if (!id || !record.pidfdid || !names_itself(record) ||
        parse_unsigned_as_systemd(*id).value == *record.pidfdid)
      return;
    Finding finding = make("listen-pidfdid-stale", hop);
    finding.evidence = "LISTEN_PIDFDID=" + *id + ", and the pidfd of " + std::string(to_string(hop)) +
                       " has inode " + std::to_string(*record.pidfdid);
    finding.advice = "rewrite LISTEN_PIDFDID with LISTEN_PID, or remove it";
    // The observer of a wrapper does not see its pidfd's number.
    blame(finding, evidence, evidence.actors_into(hop, [](const HopRecord& seen) {
      return !variable(seen, listen_pidfdid_name) || (seen.moment == Moment::exec && names_itself(seen));
    }));
    findings.add(std::move(finding));
  });
}

// Only what reaches the payload does harm: it is told where it has first been what the payload has, and
// wrong.
void pid_variables(const Evidence& evidence, Findings& findings) {
  const HopRecord* const payload = evidence.given_to(Hop::payload);
  if (payload == nullptr) return;
  for (const std::string_view name : fdchain::pid_variables) {
    const auto value = variable(*payload, name);
    const bool is_watchdog = name == watchdog_pid_name;
    const bool has_watchdog = variable(*payload, watchdog_usec_name).has_value();
    if (!value || names_process(*value, payload->pid_in_namespace) || (is_watchdog && !has_watchdog))
      continue;
    Hop stale = Hop::payload;
    for (const Hop hop : {Hop::runtime_shim, Hop::monitor, Hop::launcher}) {
      const HopRecord* const record = evidence.given_to(hop);
      if (record == nullptr) continue;
      if (variable(*record, name) != value || names_process(*value, record->pid_in_namespace)) break;
      stale = hop;
    }
    const Hop before = evidence.before(stale);
    // Everything below a desktop's terminal has one that is not meant for it, and finds that out by
    // comparing.
    if (!is_watchdog && before == Hop::activator) continue;
    Finding finding = make("pid-variable-stale", stale, is_watchdog ? Severity::error : Severity::warning);
    finding.evidence = std::string(name) + '=' + *value + ", and payload is process " +
                       std::to_string(payload->pid_in_namespace) +
                       (is_watchdog ? ": it sends no WATCHDOG=1, and systemd ends the service"
                                    : ": it takes its environment for another process's");
    finding.advice = "write the next program's pid into " + std::string(name) +
                     " in the child, as with LISTEN_PID, or unset it";
    blame(finding, evidence, evidence.actors_into(stale, [&](const HopRecord& seen) {
      const auto its_value = variable(seen, name);
      return !its_value || names_process(*its_value, seen.pid_in_namespace);
    }));
    findings.add(std::move(finding));
  }
}

void announced_variables(const Evidence& evidence, Findings& findings) {
  std::string told;  // once: who was not given a variable need not invent it
  for_each_recipient(evidence, [&](Hop hop, const HopRecord& record, Hop before) {
    std::string missing;
    for (const auto name : {listen_fds_name, listen_pid_name}) {
      if (!variable(record, name)) missing.append(missing.empty() ? "" : " and ").append(name);
    }
    if (missing.empty()) told.clear();
    const bool meant = has_sockets(evidence, record) || (before == Hop::activator && looks_activated(record));
    if (missing.empty() || !meant || told_by_count(evidence, hop, record) || told_too_few(evidence, hop))
      return;
    if (std::exchange(told, missing) == missing) return;
    Finding finding = make("env-dropped", hop);
    finding.fd = listen_fds_start;
    finding.evidence = "the sockets are there, " + missing +
                       (missing.find(' ') == std::string::npos ? " is not" : " are not");
    finding.advice = "pass LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES together with the sockets";
    blame(finding, evidence, evidence.actors_into(hop, [](const HopRecord& seen) {
      return variable(seen, listen_fds_name) && variable(seen, listen_pid_name);
    }));
    findings.add(std::move(finding));
  });
}

void announced_number(const Evidence& evidence, Findings& findings) {
  const int expected = static_cast<int>(evidence.contract().sockets.size());
  for_each_recipient(evidence, [&](Hop hop, const HopRecord& record, Hop before) {
    const auto count = announced_count(record);
    const auto text = variable(record, listen_fds_name);
    if (text && !count && names_itself(record) && !evidence.wrote_the_contract(hop) &&
        (has_sockets(evidence, record) || looks_activated(record))) {
      Finding finding = make("preserve-count-wrong", hop);
      finding.fd = listen_fds_start;
      finding.evidence = "LISTEN_FDS=" + *text + " is no count of sockets, and sockets are passed";
      finding.advice = "count every socket that is passed in LISTEN_FDS";
      blame(finding, evidence, evidence.actors_into(hop, [](const HopRecord& seen) {
        return announced_count(seen).has_value();
      }));
      findings.add(std::move(finding));
      return;
    }
    // Without sockets in the contract an announcement is a leaked variable, if somebody else made the
    // contract.
    if (!count || (expected == 0 && hop != Hop::launcher)) return;
    if (before == Hop::activator && !names_itself(record)) return;
    if (*count < expected && !evidence.wrote_the_contract(hop)) {
      Finding finding = make("preserve-count-wrong", hop);
      finding.fd = listen_fds_start + *count;
      finding.evidence = "LISTEN_FDS=" + std::to_string(*count) + ", and " + std::to_string(expected) +
                         " sockets are passed";
      finding.advice = "count every socket that is passed in LISTEN_FDS";
      blame(finding, evidence, evidence.actors_into(hop, [&](const HopRecord& seen) {
        return announced_count(seen).value_or(0) >= expected;
      }));
      findings.add(std::move(finding));
      return;
    }
    for (int number = evidence.window_end(); number < listen_fds_start + *count; ++number) {
      if (row_at(record.fds, number) != nullptr) continue;
      Finding finding = make("fd-announced-missing", hop);
      finding.fd = number;
      finding.evidence = "LISTEN_FDS=" + std::to_string(*count) + ", and descriptor " +
                         std::to_string(number) + " is not open";
      finding.advice = "announce only what is passed; unset LISTEN_* where nothing is";
      blame(finding, evidence, evidence.actors_into(hop, [&](const HopRecord& seen) {
        return listen_fds_start + announced_count(seen).value_or(0) <= number ||
               crossing_row(seen, number) != nullptr;
      }));
      findings.add(std::move(finding));
      return;
    }
  });
}

void preserve_option(const Evidence& evidence, Findings& findings) {
  for (const Hop hop : {Hop::monitor, Hop::runtime_shim}) {
    const HopRecord* const record = evidence.given_to(hop);
    const bool too_few = told_too_few(evidence, hop).has_value();
    if (record == nullptr || !record->preserve_fds) continue;
    if (counts_sockets(*record) && !too_few && !told_by_count(evidence, hop, *record)) continue;
    const std::size_t preserved = evidence.contract().preserved.size();
    const std::size_t passed = preserved + (counts_sockets(*record) ? evidence.contract().sockets.size() : 0);
    const auto count = static_cast<std::size_t>(*record->preserve_fds);
    if (count == passed) continue;
    const int first = counts_sockets(*record) ? listen_fds_start : evidence.window_end();
    Finding finding = make("preserve-count-wrong", hop);
    finding.fd = first + static_cast<int>(std::min(count, passed));
    finding.evidence = "--preserve-fds " + std::to_string(count) + ", and " + std::to_string(passed) +
                       (passed == 1 ? " descriptor is" : " descriptors are") +
                       (count < passed ? " to be passed: the others are lost"
                                       : " passed: whatever comes to stand behind them is kept");
    finding.advice = "count what is passed, and pass all that is counted";
    blame(finding, evidence, evidence.actors_into(hop, [&](const HopRecord& seen) {
      return seen.preserve_fds && static_cast<std::size_t>(*seen.preserve_fds) == passed;
    }));
    findings.add(std::move(finding));
    return;  // the next hop is told the same
  }
}

void fdnames(const Evidence& evidence, Findings& findings) {
  std::vector<std::string> expected;
  for (const ContractSocket& socket : evidence.contract().sockets) expected.push_back(socket.name);
  const std::optional<std::string> contract =
      evidence.contract().has_names ? std::optional(join_fdnames(expected)) : std::nullopt;
  std::optional<std::string> known = contract;
  for_each_recipient(evidence, [&](Hop hop, const HopRecord& record, Hop before) {
    const auto count = announced_count(record);
    if (!count) return;  // nothing is announced at all, which another rule tells
    if (told_by_count(evidence, hop, record)) return;  // then it has no use for names
    const auto names = variable(record, listen_fdnames_name);
    const bool counts_differ = names && split_fdnames(*names).size() != static_cast<std::size_t>(*count);
    const bool first = before == Hop::activator && hop == Hop::launcher;
    const bool shortened_with_the_count =
        names && *count < static_cast<int>(expected.size()) && known && known->starts_with(*names);
    // Names for what is announced and not there are no mistake of their own.
    const bool announced_is_there = row_at(record.fds, listen_fds_start + *count - 1) != nullptr;
    // Who was told names that are no use may pass them on or set them right.
    const bool as_it_was = names == known || names == contract || shortened_with_the_count;
    if (first ? !(counts_differ && announced_is_there) : as_it_was) return;
    Finding finding = make("fdnames-mismatch", hop, Severity::warning);
    if (counts_differ) {
      finding.severity = Severity::error;
      finding.evidence = "LISTEN_FDNAMES=" + *names + " names " +
                         std::to_string(split_fdnames(*names).size()) +
                         ", LISTEN_FDS=" + std::to_string(*count);
    } else {
      finding.evidence =
          "LISTEN_FDNAMES was " + known.value_or("not set") + " and is " + names.value_or("not set");
    }
    finding.advice = "pass LISTEN_FDNAMES on unchanged, one name for each socket in their order";
    blame(finding, evidence, evidence.actors_into(hop, [&](const HopRecord& seen) {
      return variable(seen, listen_fdnames_name) == known;
    }));
    findings.add(std::move(finding));
    known = names;  // a later hop answers for its own change only
  });
}

void leaked_variables(const Evidence& evidence, Findings& findings) {
  const bool no_sockets = evidence.contract().sockets.empty();
  std::map<std::string, bool> told;  // each variable once, where it first appears
  for (const Hop hop : all_hops) {
    const HopRecord* const record = evidence.given_to(hop);
    if (record == nullptr) continue;
    for (const auto& [name, value] : record->environment) {
      const bool handshake = name.starts_with("_OCI_") && hop >= Hop::runtime_shim;
      const bool listen = name == listen_fds_name && no_sockets && evidence.is_upstream(hop) &&
                          (hop != Hop::launcher || !(names_itself(*record) || looks_activated(*record)));
      const bool notify = name == notify_socket_name && hop >= Hop::monitor && evidence.contract_is_known() &&
                          !evidence.contract().notify_payload;
      if (!(handshake || listen || notify) || std::exchange(told[name], true)) continue;
      Finding finding = make("env-leaked", hop, Severity::warning);
      finding.evidence = name + '=' + value + " is set where " +
                         (handshake ? "no handshake is"
                          : listen  ? "no sockets are"
                                    : "--sdnotify keeps it from");
      finding.advice = "unset " + name + " for the next program";
      blame(finding, evidence, evidence.actors_into(hop, [&, &name = name](const HopRecord& seen) {
        return !variable(seen, name);
      }));
      finding.known = known_of(finding, handshake);
      findings.add(std::move(finding));
    }
  }
}

void handshake_numbers(const Evidence& evidence, Findings& findings) {
  const HopRecord* const record = evidence.of(Hop::monitor).arrival;
  if (record == nullptr) return;
  // Fewer sockets than the contract has are told as such: the handshake rightly follows those that there are.
  const int expected = static_cast<int>(evidence.contract().sockets.size());
  const int missing =
      expected - told_too_few(evidence, Hop::monitor).value_or(announced_count(*record).value_or(expected));
  const int end = evidence.payload_end() - std::max(0, missing);
  for (const auto name : {sync_pipe_name, start_pipe_name}) {
    const auto text = variable(*record, name);
    if (!text) continue;
    const auto number = parse_decimal(*text, 1U << 30);
    const FdRow* const row = number ? row_at(record->fds, static_cast<int>(*number)) : nullptr;
    const bool behind_the_window = number && static_cast<int>(*number) >= end;
    if (behind_the_window && row != nullptr && is_pipe(*row)) continue;
    Finding finding = make("handshake-collision", Hop::monitor);
    if (number) finding.fd = static_cast<int>(*number);
    finding.evidence = std::string(name) + '=' + *text +
                       (row == nullptr ? ", which is not open" : ", which is " + describe(*row));
    finding.advice =
        "place the handshake behind everything that is passed to the payload, and announce these numbers";
    blame(finding, evidence, evidence.actors_into(Hop::monitor, [&](const HopRecord& seen) {
      const FdRow* const its_row = number ? row_at(seen.fds, static_cast<int>(*number)) : nullptr;
      return variable(seen, name) != text || (behind_the_window && its_row != nullptr && is_pipe(*its_row));
    }));
    findings.add(std::move(finding));
  }
}

void notify_socket(const Evidence& evidence, Findings& findings) {
  const HopRecord* const launcher = evidence.of(Hop::launcher).arrival;
  if (!evidence.contract().notify_payload || launcher == nullptr) return;
  auto known = variable(*launcher, notify_socket_name);
  const HopRecord* const monitor = evidence.given_to(Hop::monitor);
  const bool relayed = monitor != nullptr && monitor->relays_notify;
  for (const Hop hop : {Hop::monitor, Hop::runtime_shim, Hop::payload}) {
    const HopRecord* const record = evidence.given_to(hop);
    if (record == nullptr) continue;
    const auto value = variable(*record, notify_socket_name);
    // Behind a monitor that forwards, the payload has a socket of the monitor's.
    if (value == known || (relayed && (hop != Hop::payload || value))) continue;
    Finding finding = make("notify-lost", hop);
    finding.evidence = "NOTIFY_SOCKET was " + known.value_or("not set") + " and is " +
                       value.value_or("not set") + ": READY=1 of the payload does not arrive";
    finding.advice = "pass NOTIFY_SOCKET on, or forward what arrives where it points";
    blame(finding, evidence, evidence.actors_into(hop, [&](const HopRecord& seen) {
      return variable(seen, notify_socket_name) == known;
    }));
    findings.add(std::move(finding));
    known = value;
  }
}

}  // namespace fdchain::rules
