// Findings and trace in, text out.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fdchain/model/finding.h"
#include "fdchain/model/hop_record.h"
#include "fdchain/model/wrap.h"

namespace fdchain {

/// One run and what the judge makes of it.
struct JudgedRun {
  std::span<const HopRecord> records;
  Diagnosis diagnosis;
  std::optional<Contract> contract = std::nullopt;  ///< as given by the user; else the run's own
  std::optional<int> status = std::nullopt;         ///< how the run ended, where that is known
  bool all = false;                                 ///< what is known is shown in full, too
};

/// Whether the exit status of a run says that the chain failed: then it is acquitted of nothing.
bool is_failure_of_chain(int status);

enum class ReportFormat { text, json, mermaid, dot };

/// Nothing for a name that is none of text, json, mermaid, dot.
std::optional<ReportFormat> parse_report_format(std::string_view name);

/// What a text report is written on; the other formats do not heed it.
struct Page {
  bool colour = false;
  std::size_t columns = usual_columns;
};

/// `by monitor`, `by conmon, the monitor`, `by m2.py in monitor's place`, `culprit unknown`.
std::string culprit_of(const Finding& finding);

/// The report in a format.
std::string write_report(ReportFormat format, const JudgedRun& run, const Page& page = {});

/// A table with a column per hop and a row per socket, and below it what is wrong, in plain words. No line is
/// longer than the page is wide; readable without colour.
std::string text_report(const JudgedRun& run, const Page& page = {});

/// Everything, for scripts: findings, unknowns and records.
std::string json_report(const JudgedRun& run);

/// The findings alone, on one line, as `diagnose --json` prints them.
std::string json_findings(const JudgedRun& run);

/// The state diagram of the run that was observed, as podman's socket activation tutorial draws it.
std::string mermaid_report(const JudgedRun& run);

/// The processes and the descriptors that went from one to the next, as a graph for dot(1).
std::string dot_report(const JudgedRun& run);

}  // namespace fdchain
