#include "fdchain/judge/judge.h"

#include <array>

#include "fdchain/judge/evidence.h"
#include "fdchain/judge/rules/rules.h"

namespace fdchain {
namespace {

constexpr std::array all_rules{
    rules::listen_pid, rules::listen_pidfdid,   rules::announced_variables, rules::announced_number,
    rules::fdnames,    rules::leaked_variables, rules::handshake_numbers,   rules::notify_socket,
    rules::sockets,    rules::preserved,        rules::strangers,           rules::stdio,
    rules::access,     rules::nofile,           rules::ignored_signals,     rules::retained,
    rules::children,   rules::growth,           rules::lost_words,
};

std::vector<std::string> gaps(const Evidence& evidence) {
  std::vector<std::string> unknown;
  for (const Hop hop : {Hop::launcher, Hop::monitor, Hop::runtime_shim}) {
    const HopEvidence& records = evidence.of(hop);
    if (records.arrival == nullptr)
      unknown.push_back("what " + std::string(to_string(hop)) + " received: no record of its arrival");
    else if (records.departure == nullptr)
      unknown.push_back("what " + std::string(to_string(hop)) +
                        " was about to pass on: no record of its departure");
  }
  if (evidence.of(Hop::payload).received() == nullptr)
    unknown.emplace_back("what payload received: it has not been seen");
  if (!evidence.contract_is_known())
    unknown.emplace_back("what was to be handed over: taken from what the first hop was told");
  return unknown;
}

}  // namespace

Diagnosis judge(std::span<const HopRecord> run, const std::optional<Contract>& contract) {
  const Evidence evidence(run, contract);
  rules::Findings findings;
  for (const auto rule : all_rules) rule(evidence, findings);
  return {findings.take(), gaps(evidence)};
}

}  // namespace fdchain
