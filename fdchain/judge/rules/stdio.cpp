// Rules of 0, 1 and 2, which everybody has and nobody announces.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "fdchain/judge/rules/rules.h"
#include "fdchain/model/listen_env.h"

namespace fdchain::rules {
namespace {

enum class Stdio { sound, hole, socket };

Stdio state_of(const FdRow* row) {
  if (row == nullptr) return Stdio::hole;
  return row->socket || row->type == "SOCK" ? Stdio::socket : Stdio::sound;
}

// `2>>log`, or systemd-cat(1), where something sound was: what lands there by chance finds the number closed.
// Where one program closes and opens, no record tells.
bool may_be_redirected(const Evidence& evidence, Hop hop, const FdRow& row) {
  const bool is_log = row.type == "REG" && row.mode == "-w";
  const bool is_stream =
      row.type == "UNIX-STREAM" && row.socket && !row.socket->listening && evidence.socket_of(row) == nullptr;
  const auto has_it_closed = [&](const HopRecord* wrapper) {
    return crossing_row(*wrapper, row.number) == nullptr;
  };
  return row.number != 0 && (is_log || is_stream) &&
         std::ranges::none_of(evidence.of(hop).wrappers, has_it_closed);
}

std::string advice_on_stdio(bool may_be_meant, const char* advice) {
  return (may_be_meant ? "nothing, if it was to be redirected; else " : "") + std::string(advice);
}

// Follows one number of stdio, and tells when a hole or a socket appears there; what lands in a hole is the
// hole's doing. A socket that has been there from the start is an inetd's, and rightly there.
void follow_stdio(const Evidence& evidence, Findings& findings, int number) {
  Stdio state = Stdio::sound;
  bool first = true;
  for (const Hop hop : all_hops) {
    const HopRecord* const record = evidence.crossed_into(hop);
    if (record == nullptr) continue;
    const FdRow* const row = crossing_row(*record, number);
    const Stdio before = std::exchange(state, state_of(row));
    if (std::exchange(first, false) && state == Stdio::socket) return;
    if (state == Stdio::sound || before != Stdio::sound) continue;
    const bool may_be_meant = row != nullptr && may_be_redirected(evidence, hop, *row);
    Finding finding = make("stdio-hole", hop, number,
                           may_be_meant           ? Severity::note
                           : hop == Hop::launcher ? Severity::warning
                                                  : Severity::error);
    finding.evidence = row == nullptr
                           ? fmt::format("descriptor {} is closed in {}: the next thing it opens lands there",
                                         number, to_string(hop))
                           : fmt::format("descriptor {} is a {}, which is not stdio", number, row->type);
    finding.advice =
        advice_on_stdio(may_be_meant, "open /dev/null on 0, 1 and 2 before anything else is opened");
    blame(finding, evidence, evidence.actors_into(hop, [&](const HopRecord& seen) {
      return state_of(crossing_row(seen, number)) != state;
    }));
    findings.add(std::move(finding));
  }
}

bool has_as_stdio(const HopRecord& record, const FdRow& object) {
  return std::ranges::any_of(
      record.fds, [&](const FdRow& row) { return row.number < listen_fds_start && row.same_object(object); });
}

// Whether a hop before this one had it as its stdio: whoever started the chain chose it.
bool was_stdio_before(const Evidence& evidence, Hop hop, const FdRow& object) {
  for (const Hop before : all_hops) {
    const HopEvidence& looks = evidence.of(before);
    if (before == hop) return false;
    // What it is about to pass on it may have opened itself.
    const HopRecord* const record = looks.arrival != nullptr ? looks.arrival : looks.departure;
    if (record != nullptr && has_as_stdio(*record, object)) return true;
  }
  return false;
}

// A file or directory that nobody had as stdio before: something was opened while the number was free.
void watch_stdio(const Evidence& evidence, Findings& findings, int number) {
  const HopRecord* earlier = nullptr;
  for (const Hop hop : all_hops) {
    const HopRecord* const record = evidence.crossed_into(hop);
    if (record == nullptr) continue;
    const HopRecord* const last = std::exchange(earlier, record);
    const FdRow* const row = crossing_row(*record, number);
    // What the first that was seen has is its caller's choice.
    if (last == nullptr || row == nullptr || !reaches_into_the_host(*row) ||
        was_stdio_before(evidence, hop, *row))
      continue;
    const FdRow* const before = crossing_row(*last, number);
    const HopRecord* const payload = evidence.given_to(Hop::payload);
    const FdRow* const in_payload = payload != nullptr ? crossing_row(*payload, number) : nullptr;
    const bool is_let_in = in_payload != nullptr && in_payload->same_object(*row);
    const bool may_be_meant = before != nullptr && may_be_redirected(evidence, hop, *row);
    Finding finding = make("fd-substituted", hop, number,
                           may_be_meant ? Severity::note
                           : is_let_in  ? Severity::critical
                                        : Severity::error);
    finding.evidence = fmt::format("descriptor {} {} and is {} in {}", number,
                                   before == nullptr ? "was closed" : "was " + describe_object(*before),
                                   describe_object(with_name(evidence, *row)), to_string(hop));
    finding.advice = advice_on_stdio(
        may_be_meant,
        "keep 0, 1 and 2 open, on /dev/null if need be: the next file that is opened takes a free number");
    blame(finding, evidence, evidence.actors_into(hop, [&](const HopRecord& seen) {
      const FdRow* const its_row = crossing_row(seen, number);
      return its_row == nullptr || !its_row->same_object(*row);
    }));
    findings.add(std::move(finding));
  }
}

}  // namespace

void stdio(const Evidence& evidence, Findings& findings) {
  for (int number = 0; number < listen_fds_start; ++number) {
    follow_stdio(evidence, findings, number);
    watch_stdio(evidence, findings, number);
  }
}

}  // namespace fdchain::rules
