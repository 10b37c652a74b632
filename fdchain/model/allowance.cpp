#include "fdchain/model/allowance.h"

#include <algorithm>
#include <climits>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"

namespace fdchain {

Allowance parse_allowance(std::string_view text) {
  const auto refuse = [&](std::string_view why) { throw Failure(printable(text) + ": " + std::string(why)); };
  Allowance allowance;
  std::string_view rest = text;
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    const auto number = parse_decimal(rest.substr(colon + 1), INT_MAX);
    if (!number) refuse("not ID[@HOP][:FD]");
    allowance.fd = static_cast<int>(*number);
    rest = rest.substr(0, colon);
  }
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    allowance.hop = parse_hop(rest.substr(at + 1));
    if (!allowance.hop) refuse("its HOP is not one of launcher, monitor, runtime-shim, payload");
    rest = rest.substr(0, at);
  }
  if (std::ranges::find(finding_ids, rest) == finding_ids.end()) refuse("its ID is not that of a finding");
  allowance.id = rest;
  return allowance;
}

std::string to_string(const Allowance& allowance) {
  std::string text = allowance.id;
  if (allowance.hop) text.append("@").append(to_string(*allowance.hop));
  if (allowance.fd) text.append(":").append(std::to_string(*allowance.fd));
  return text;
}

Allowance allowance_for(const Finding& finding) { return {finding.id, finding.hop, finding.fd}; }

bool allows(const Allowance& allowance, const Finding& finding) {
  return allowance.id == finding.id && (!allowance.hop || allowance.hop == finding.hop) &&
         (!allowance.fd || allowance.fd == finding.fd);
}

}  // namespace fdchain
