// What `run` and `trace` have in common: how a run is judged, and what of it counts for the exit status.
#pragma once

#include <boost/program_options.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fdchain/judge/judge.h"
#include "fdchain/model/allowance.h"
#include "fdchain/model/finding.h"
#include "fdchain/model/hop_record.h"
#include "fdchain/model/stated_contract.h"
#include "fdchain/report/report.h"

namespace fdchain {

/// Of a run with --check; the others are in model/failure.h.
namespace exit_status {
inline constexpr int not_seen = 122;     ///< a hop was not seen, so nothing can be said
inline constexpr int has_finding = 123;  ///< the judge has a finding that counts

/// Whether a status is the chain's own: it failed, or its time was over.
bool is_chains_own(int status);
}  // namespace exit_status

/// What a run is held against, beside what it shows itself.
struct ContractOptions {
  std::string contract_text;  ///< of --contract, as it was typed
  std::optional<StatedContract> contract;
  std::vector<Expectation> expected;
  std::vector<Allowance> allowed;
  std::string baseline;  ///< a file of more that is allowed; empty for none
  std::vector<Allowance> in_baseline;
  std::string save_baseline;  ///< where to write what has been found; empty for nowhere
  bool all = false;           ///< show in full what is known, too
};

/// The values of these options, as they were typed.
struct ContractTexts {
  std::string contract;
  std::vector<std::string> expected;
  std::vector<std::string> allowed;
  std::string baseline;
  std::string save_baseline;
  bool all = false;
};

/// --contract, --expect, and those that say what is known, with help.
boost::program_options::options_description contract_options(ContractTexts& texts);

/// Throws Failure for what cannot be used.
ContractOptions parse_contract_options(const ContractTexts& texts);

/// The run, judged by what it is held against; what is allowed is known. Refers to the records.
JudgedRun judge_by(const ContractOptions& options, std::span<const HopRecord> records);

/// Writes what allows these findings into the file that --save-baseline names, if it was given.
void save_baseline(const ContractOptions& options, std::span<const Allowance> found);

/// What allows the findings that are not known.
std::vector<Allowance> allowances_for(const Diagnosis& diagnosis);

/// What is asked of the judge.
struct JudgeOptions {
  ContractOptions contract;
  std::optional<Severity> check;  ///< the least severity that counts for --check; nothing without it

  /// Whether the run has to be judged for these options alone, without a report.
  [[nodiscard]] bool wants_judge() const { return check.has_value() || !contract.save_baseline.empty(); }
};

/// The values of these options, as they were typed.
struct JudgeTexts {
  ContractTexts contract;
  std::string check;
};

/// --check and contract_options(), with help.
boost::program_options::options_description judge_options(JudgeTexts& texts);

/// Throws Failure for what cannot be used, or has no effect: nobody reads what the judge says unless it is
/// `heard` in a report.
JudgeOptions parse_judge_options(const JudgeTexts& texts, bool heard);

/// The words that these options are read from.
std::vector<std::string> to_words(const JudgeOptions& options);

/// What --check goes by.
struct Verdict {
  std::optional<std::string> finding;   ///< the first that counts, in a few words
  std::optional<std::string> not_seen;  ///< what was not seen
  std::vector<Allowance> found;         ///< of all runs, for a baseline

  /// Of several runs the first that has something counts.
  void add(Verdict another);
};

/// What the judge says of a run counts so.
Verdict verdict_of(const Diagnosis& diagnosis, const JudgeOptions& options);

/// The exit status of a run that ended with `status`; says on stderr why it is another one. A finding counts
/// whatever else happened. That a hop was not seen is no news of a chain that failed itself. Saves the
/// baseline.
int checked_status(int status, const Verdict& verdict, const JudgeOptions& options);

}  // namespace fdchain
