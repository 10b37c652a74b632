#include "fdchain/judge/judge.h"

#include <algorithm>
#include <array>

#include "fdchain/judge/rules/evidence.h"
#include "fdchain/judge/rules/rules.h"

namespace fdchain {
namespace {

constexpr std::array all_rules{
    rules::listen_pid,        rules::listen_pidfdid,  rules::pid_variables,   rules::announced_variables,
    rules::announced_number,  rules::preserve_option, rules::fdnames,         rules::leaked_variables,
    rules::handshake_numbers, rules::notify_socket,   rules::sockets,         rules::preserved,
    rules::strangers,         rules::stdio,           rules::access,          rules::nofile,
    rules::ignored_signals,   rules::retained,        rules::children,        rules::growth,
    rules::lost_words,        rules::waiting_clients, rules::lost_by_payload, rules::forked,
    rules::left_by_payload,   rules::bystanders,
};

Hop next_of(Hop hop) { return static_cast<Hop>(static_cast<int>(hop) + 1); }

bool has_failed(const HopRecord* record) {
  return record != nullptr && record->ended && record->ended->starts_with("exited with status ") &&
         *record->ended != "exited with status 0";
}

// What it did itself is seen on request only, and asked for when it fails.
std::optional<std::string> unseen_failure(const Evidence& evidence) {
  if (evidence.of(Hop::payload).received() == nullptr || !evidence.of(Hop::payload).ends.empty()) return {};
  for (const Hop hop : {Hop::monitor, Hop::launcher}) {
    const HopRecord* const end = evidence.of(hop).after_exit;
    if (has_failed(end))
      return "what payload did after its exec: it " + *end->ended + "; --follow-payload shows it";
  }
  return {};
}

std::vector<std::string> gaps(const Evidence& evidence) {
  std::vector<std::string> unknown;
  for (const Hop hop : {Hop::launcher, Hop::monitor, Hop::runtime_shim}) {
    const HopEvidence& records = evidence.of(hop);
    if (records.arrival == nullptr)
      unknown.push_back("what " + std::string(to_string(hop)) + " received: no record of its arrival");
    else if (records.departure == nullptr && evidence.crossed_into(next_of(hop)) == nullptr)
      unknown.push_back("what " + std::string(to_string(hop)) +
                        " was about to pass on: no record of its departure");
  }
  const HopEvidence& payload = evidence.of(Hop::payload);
  if (payload.received() == nullptr)
    unknown.emplace_back("what payload received: it has not been seen");
  else if (evidence.crossed_into(Hop::payload) == nullptr)
    unknown.emplace_back(
        "what payload received: it was seen from outside only, when it may have changed it already");
  for (const Hop hop : {Hop::launcher, Hop::monitor}) {
    // Of a payload that never ran, nobody waits for the end.
    if (payload.received() != nullptr && evidence.of(hop).after_exit == nullptr)
      unknown.push_back("what " + std::string(to_string(hop)) +
                        " held when the payload had ended: no record of it");
  }
  if (auto failure = unseen_failure(evidence)) unknown.push_back(std::move(*failure));
  if (!evidence.contract_is_known() && !evidence.launcher_keeps_sockets())
    unknown.emplace_back("what was to be handed over: taken from what the first hop was told");
  if (const std::size_t presumed = evidence.presumed_preserved(); presumed > 0)
    unknown.push_back("whether what stands after the sockets was to be preserved: taken as meant, " +
                      std::to_string(presumed) + (presumed == 1 ? " descriptor" : " descriptors"));
  return unknown;
}

}  // namespace

Diagnosis judge(std::span<const HopRecord> run, const std::optional<Contract>& contract,
                std::span<const Expectation> expected) {
  const Evidence evidence(run, contract);
  rules::Findings findings;
  for (const auto rule : all_rules) rule(evidence, findings);
  for (const Expectation& each : expected) rules::expectation(evidence, each, findings);
  Diagnosis diagnosis{findings.take(), evidence.not_seen(), gaps(evidence)};
  if (!diagnosis.not_seen.empty()) put_explanations_first(diagnosis.findings);
  return diagnosis;
}

void put_explanations_first(std::vector<Finding>& findings) {
  // That a failure was not told is a consequence of it, and too low a limit is the cause of many.
  const auto rank = [](const Finding& finding) {
    if (finding.id == "handshake-lost-error") return 1;
    return finding.severity >= Severity::error || finding.id == "nofile-exceeded" ? 0 : 2;
  };
  std::ranges::stable_sort(findings, {}, rank);
}

}  // namespace fdchain
