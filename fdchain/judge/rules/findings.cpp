#include <algorithm>

#include "fdchain/judge/rules/rules.h"

namespace fdchain::rules {

void Findings::add(Finding finding) {
  const auto same = std::ranges::find_if(findings_, [&](const Finding& known) {
    return known.id == finding.id && known.culprit == finding.culprit && known.hop == finding.hop;
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

std::vector<Hop> hops_between(Hop earlier, Hop later) {
  std::vector<Hop> hops;
  for (int hop = static_cast<int>(earlier); hop < static_cast<int>(later); ++hop)
    hops.push_back(static_cast<Hop>(hop));
  return hops;
}

void blame(Finding& finding, const std::vector<Hop>& actors) {
  if (actors.size() == 1) {
    finding.culprit = actors.front();
    return;
  }
  finding.evidence += "; no record tells which of them did it:";
  for (const Hop hop : actors) finding.evidence.append(" ").append(to_string(hop));
}

}  // namespace fdchain::rules
