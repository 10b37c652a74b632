#include "launcher/shared/judging.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/guard.h"
#include "fdchain/report/report.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

constexpr const char* usual_severity = "error";

Allowance read_allowance(const std::string& source, std::string_view text) {
  try {
    return parse_allowance(text);
  } catch (const Failure& failure) {
    throw Failure(source + ' ' + failure.what());
  }
}

// A line for each; those that are empty or begin with # say nothing.
std::vector<Allowance> read_baseline(const std::string& file) {
  std::vector<Allowance> allowances;
  std::string text;
  try {
    constexpr std::size_t longest = 1U << 20;
    const OwnedFd opened(check(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open", file));
    text = read_all(opened.get(), "--baseline " + printable(file), longest);
  } catch (const std::system_error& error) {
    throw Failure("--baseline " + printable(file) + ": " + error.code().message());
  }
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (!line.empty() && line.front() != '#')
      allowances.push_back(
          read_allowance(fmt::format("--baseline {}: line {}:", printable(file), number), line));
  }
  return allowances;
}

}  // namespace

bool exit_status::is_chains_own(int status) { return timed_out <= status && status <= not_found; }

po::options_description contract_options(ContractTexts& texts) {
  po::options_description options;
  options.add_options()  //
      ("contract", po::value(&texts.contract)->value_name("fds=N[,names=A:B…]"),
       "what was to be handed over: N sockets from 3 on, whatever the run itself says")  //
      ("expect", po::value(&texts.expected)->value_name("'HOP: NAME at N, …[, nothing else]'"),
       "what HOP is to hold from 3 on when it starts, or 'HOP: nothing'; NAME is a socket's name or address; "
       "else there is an error, expectation-failed; repeatable")  //
      ("allow", po::value(&texts.allowed)->value_name("ID[@HOP][:FD]"),
       "a finding that is known and does not count: of this id, seen at HOP, for descriptor FD; "
       "repeatable")  //
      ("baseline", po::value(&texts.baseline)->value_name("FILE"),
       "allow what FILE says, a line for each")  //
      ("save-baseline", po::value(&texts.save_baseline)->value_name("FILE"),
       "write a baseline that allows what is found now")  //
      ("all", po::bool_switch(&texts.all), "show in full what is known, too: of real versions, or allowed");
  return options;
}

ContractOptions parse_contract_options(const ContractTexts& texts) {
  ContractOptions options;
  options.contract_text = texts.contract;
  if (!texts.contract.empty()) options.contract = parse_stated_contract(texts.contract);
  for (const std::string& text : texts.expected) options.expected.push_back(parse_expectation(text));
  for (const std::string& text : texts.allowed) options.allowed.push_back(read_allowance("--allow", text));
  options.baseline = texts.baseline;
  if (!texts.baseline.empty()) options.in_baseline = read_baseline(texts.baseline);
  options.save_baseline = texts.save_baseline;
  if (!texts.save_baseline.empty()) check_replaceable("--save-baseline", texts.save_baseline);
  options.all = texts.all;
  return options;
}

JudgedRun judge_by(const ContractOptions& options, std::span<const HopRecord> records) {
  std::optional<Contract> contract;
  if (options.contract) contract = contract_of(*options.contract, records);
  Diagnosis diagnosis = judge(records, contract, options.expected);
  for (Finding& finding : diagnosis.findings) {
    const auto is_it = [&](const Allowance& allowance) { return allows(allowance, finding); };
    if (!finding.known.empty()) continue;
    if (const auto one = std::ranges::find_if(options.allowed, is_it); one != options.allowed.end())
      finding.known = "--allow " + to_string(*one);
    else if (std::ranges::any_of(options.in_baseline, is_it))
      finding.known = "--baseline " + options.baseline;
  }
  return {records, std::move(diagnosis), std::move(contract), std::nullopt, options.all};
}

void save_baseline(const ContractOptions& options, std::span<const Allowance> found) {
  if (options.save_baseline.empty()) return;
  std::string text = "# Findings that are known and do not count: ID[@HOP][:FD]\n";
  for (const Allowance& allowance : options.in_baseline) text += to_string(allowance) + '\n';
  for (const Allowance& allowance : found) {
    if (std::ranges::find(options.in_baseline, allowance) == options.in_baseline.end())
      text += to_string(allowance) + '\n';
  }
  write_file_atomically(options.save_baseline, text, "--save-baseline");
}

std::vector<Allowance> allowances_for(const Diagnosis& diagnosis) {
  std::vector<Allowance> allowances;
  for (const Finding& finding : diagnosis.findings) {
    if (finding.known.empty()) allowances.push_back(allowance_for(finding));
  }
  return allowances;
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
  const char* const unheard = options.contract.contract            ? "--contract"
                              : !options.contract.expected.empty() ? "--expect"
                              : !options.contract.allowed.empty()  ? "--allow"
                              : !options.contract.baseline.empty() ? "--baseline"
                              : options.contract.all               ? "--all"
                                                                   : nullptr;
  if (unheard != nullptr && !options.wants_judge() && !heard)
    throw Failure(std::string(unheard) + ": nobody would hear of a breach; add --check or --report");
  return options;
}

std::vector<std::string> to_words(const JudgeOptions& options) {
  std::vector<std::string> words;
  if (options.contract.contract) words.push_back("--contract=" + options.contract.contract_text);
  for (const Expectation& expected : options.contract.expected) words.push_back("--expect=" + expected.text);
  for (const Allowance& allowance : options.contract.allowed)
    words.push_back("--allow=" + to_string(allowance));
  const auto add_file = [&](const char* option, const std::string& file) {
    if (!file.empty()) words.push_back(option + std::filesystem::absolute(file).lexically_normal().native());
  };
  add_file("--baseline=", options.contract.baseline);
  add_file("--save-baseline=", options.contract.save_baseline);
  if (options.contract.all) words.emplace_back("--all");
  if (options.check) {
    const std::string_view severity = to_string(*options.check);
    words.push_back(severity == usual_severity ? "--check" : "--check=" + std::string(severity));
  }
  return words;
}

void Verdict::add(Verdict another) {
  if (!finding) finding = std::move(another.finding);
  if (!not_seen) not_seen = std::move(another.not_seen);
  for (Allowance& allowance : another.found) {
    if (std::ranges::find(found, allowance) == found.end()) found.push_back(std::move(allowance));
  }
}

Verdict verdict_of(const Diagnosis& diagnosis, const JudgeOptions& options) {
  Verdict verdict{std::nullopt, std::nullopt, allowances_for(diagnosis)};
  const auto counts = [&](const Finding& finding) {
    return options.check && finding.severity >= *options.check && finding.known.empty();
  };
  const Finding* worst = nullptr;  // the first of the worst
  for (const Finding& finding : diagnosis.findings) {
    if (counts(finding) && (worst == nullptr || finding.severity > worst->severity)) worst = &finding;
  }
  if (worst != nullptr)
    verdict.finding = fmt::format("{}, {}, seen at {}", worst->id, culprit_of(*worst), to_string(worst->hop));
  if (!diagnosis.not_seen.empty()) {
    verdict.not_seen = list_of(diagnosis.not_seen) + (diagnosis.not_seen.size() == 1 ? " was" : " were") +
                       " not seen: nothing can be said";
  }
  return verdict;
}

int checked_status(int status, const Verdict& verdict, const JudgeOptions& options) {
  save_baseline(options.contract, verdict.found);
  if (!options.check) return status;
  const auto say = [](const std::string& why) { print_error(Hop::launcher, "--check: " + why); };
  if (verdict.finding) return say(*verdict.finding), exit_status::has_finding;
  if (!verdict.not_seen || exit_status::is_chains_own(status)) return status;
  return say(*verdict.not_seen), exit_status::not_seen;
}

}  // namespace fdchain
