#include <algorithm>
#include <utility>

#include "fdchain/judge/rules/rules.h"

namespace fdchain::rules {

void Findings::add(Finding finding) {
  const auto same = std::ranges::find_if(findings_, [&](const Finding& known) {
    return known.id == finding.id && known.culprit == finding.culprit && known.hop == finding.hop &&
           known.culprit_pid == finding.culprit_pid && known.known == finding.known;
  });
  if (same == findings_.end()) {
    findings_.push_back(std::move(finding));
    return;
  }
  same->severity = std::max(same->severity, finding.severity);
  same->evidence.append("; ").append(finding.evidence);
}

std::vector<Finding> Findings::take() {
  std::ranges::stable_sort(findings_, [](const Finding& left, const Finding& right) {
    if (left.hop != right.hop) return left.hop < right.hop;
    return left.severity > right.severity;
  });
  return std::move(findings_);
}

Finding make(std::string id, Hop hop, Severity severity) {
  Finding finding;
  finding.id = std::move(id);
  finding.hop = hop;
  finding.severity = severity;
  return finding;
}

Finding make(std::string id, Hop hop, int fd, Severity severity) {
  Finding finding = make(std::move(id), hop, severity);
  finding.fd = fd;
  return finding;
}

FdRow with_name(const Evidence& evidence, FdRow row) {
  for (const Hop hop : all_hops) {
    const HopEvidence& seen = evidence.of(hop);
    for (const HopRecord* const record : {seen.arrival, seen.departure, seen.outside, seen.after_exit}) {
      if (!row.name.empty() || record == nullptr) continue;
      for (const FdRow* const same : evidence.rows_with(*record, row)) {
        if (row.name.empty()) row.name = same->name;
      }
    }
  }
  return row;
}

bool reaches_into_the_host(const FdRow& row) {
  return row.type == "DIR" || row.mode == "--" || row.type == "REG";
}

void blame(Finding& finding, const Evidence& evidence, const std::vector<Actor>& actors) {
  if (actors.size() == 1) {
    const auto& [hop, wrapper] = actors.front();
    finding.culprit = hop;
    finding.culprit_is_wrapper = wrapper != nullptr;
    const HopRecord* const record = wrapper != nullptr ? wrapper : evidence.of(hop).received();
    if (record == nullptr) return;
    finding.culprit_program = program_of(*record);
    finding.culprit_pid = record->pid;
    return;
  }
  if (actors.empty()) {
    finding.evidence += "; the hop before departed with it as it should be: who ran between was not seen";
    return;
  }
  finding.evidence += "; no record tells which of them did it:";
  for (const auto& [hop, wrapper] : actors)
    finding.evidence.append(" ").append(wrapper != nullptr ? program_of(*wrapper) : to_string(hop));
}

std::string known_of(const Finding& finding, bool usual) {
  // conmon 2.1 leaves its runtime its own _OCI_* variables, and an ignored SIGPIPE.
  const bool is_conmons =
      finding.culprit == Hop::monitor && !finding.culprit_is_wrapper && finding.culprit_program == "conmon";
  return usual && is_conmons ? "conmon 2.1" : "";
}

}  // namespace fdchain::rules
