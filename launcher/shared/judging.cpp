#include "launcher/shared/judging.h"

#include <fmt/format.h>

#include <algorithm>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/guard.h"
#include "fdchain/report/report.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

constexpr const char* usual_severity = "error";

}  // namespace

bool exit_status::is_chains_own(int status) { return timed_out <= status && status <= not_found; }

po::options_description contract_options(ContractTexts& texts) {
  po::options_description options;
  options.add_options()  //
      ("contract", po::value(&texts.contract)->value_name("fds=N[,names=A:B…]"),
       "what was to be handed over: N sockets from 3 on, whatever the run itself says")  //
      ("expect", po::value(&texts.expected)->value_name("'HOP: NAME at N, …[, nothing else]'"),
       "what HOP is to hold from 3 on when it starts, or 'HOP: nothing'; NAME is a socket's name or address; "
       "else there is an error, expectation-failed; repeatable");
  return options;
}

ContractOptions parse_contract_options(const ContractTexts& texts) {
  ContractOptions options{texts.contract, std::nullopt, {}};
  if (!texts.contract.empty()) options.contract = parse_stated_contract(texts.contract);
  for (const std::string& text : texts.expected) options.expected.push_back(parse_expectation(text));
  return options;
}

JudgedRun judge_by(const ContractOptions& options, std::span<const HopRecord> records) {
  std::optional<Contract> contract;
  if (options.contract) contract = contract_of(*options.contract, records);
  Diagnosis diagnosis = judge(records, contract, options.expected);
  return {records, std::move(diagnosis), std::move(contract)};
}

po::options_description judge_options(JudgeTexts& texts) {
  po::options_description options;
  options.add_options()  //
      ("check", po::value(&texts.check)->implicit_value(usual_severity, "")->value_name("SEVERITY"),
       "exit 123 when the judge has a finding of this severity or a worse one (note, warning, error, "
       "critical; error without =SEVERITY), whatever else happened, and 122 when a hop was not seen");
  return options.add(contract_options(texts.contract));
}

JudgeOptions parse_judge_options(const JudgeTexts& texts, bool heard) {
  JudgeOptions options;
  options.contract = parse_contract_options(texts.contract);
  if (!texts.check.empty()) {
    options.check = parse_severity(texts.check);
    if (!options.check)
      throw Failure("--check " + printable(texts.check) + ": not one of note, warning, error, critical");
  }
  const bool is_held_against = options.contract.contract || !options.contract.expected.empty();
  if (is_held_against && !options.check && !heard)
    throw Failure(std::string(options.contract.contract ? "--contract" : "--expect") +
                  ": nobody would hear of a breach; add --check or --report");
  return options;
}

std::vector<std::string> to_words(const JudgeOptions& options) {
  std::vector<std::string> words;
  if (options.contract.contract) words.push_back("--contract=" + options.contract.contract_text);
  for (const Expectation& expected : options.contract.expected) words.push_back("--expect=" + expected.text);
  if (options.check) {
    const std::string_view severity = to_string(*options.check);
    words.push_back(severity == usual_severity ? "--check" : "--check=" + std::string(severity));
  }
  return words;
}

void Verdict::add(Verdict another) {
  if (!finding) finding = std::move(another.finding);
  if (!not_seen) not_seen = std::move(another.not_seen);
}

Verdict verdict_of(const Diagnosis& diagnosis, const JudgeOptions& options) {
  Verdict verdict;
  const auto counts = [&](const Finding& finding) {
    return options.check && finding.severity >= *options.check;
  };
  const auto found = std::ranges::find_if(diagnosis.findings, counts);
  if (found != diagnosis.findings.end())
    verdict.finding = fmt::format("{}, {}, seen at {}", found->id, culprit_of(*found), to_string(found->hop));
  if (!diagnosis.not_seen.empty()) {
    verdict.not_seen = list_of(diagnosis.not_seen) + (diagnosis.not_seen.size() == 1 ? " was" : " were") +
                       " not seen: nothing can be said";
  }
  return verdict;
}

int checked_status(int status, const Verdict& verdict, const JudgeOptions& options) {
  if (!options.check) return status;
  const auto say = [](const std::string& why) { print_error(Hop::launcher, "--check: " + why); };
  if (verdict.finding) return say(*verdict.finding), exit_status::has_finding;
  if (!verdict.not_seen || exit_status::is_chains_own(status)) return status;
  return say(*verdict.not_seen), exit_status::not_seen;
}

}  // namespace fdchain
