#include "launcher/report/diagnose.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "fdchain/judge/judge.h"
#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/options.h"
#include "fdchain/report/report.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/trace/trace_reader.h"
#include "launcher/shared/judging.h"
#include "launcher/shared/witness.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

constexpr int unusable = 2;

struct Question {
  std::string run;
  ContractOptions contract;
  std::string format = "text";
  bool json = false;
  ColourChoice colour = ColourChoice::automatic;
  std::string trace;
};

constexpr std::string_view diagnose_usage =
    "Usage: launcher diagnose [OPTIONS] TRACE\n"
    "\n"
    "Says what went wrong in each run of a trace. Exits 0 when there is no finding, 1 when there is, 2 when "
    "the trace cannot be judged, or has lines that are no records and no finding in the others. `-` is "
    "stdin.\n";
constexpr std::string_view report_usage =
    "Usage: launcher report [OPTIONS] TRACE\n\n"
    "Shows each run of a trace: what every hop held, and what is wrong with it.\n";

// Nothing when --help or --version has been answered.
std::optional<Question> parse(const std::vector<std::string>& words, bool diagnosing) {
  Question question;
  po::options_description own("Options");
  ContractTexts contract;
  own.add_options()("run", po::value(&question.run)->value_name("ID"), "only the run of this name");
  own.add(contract_options(contract));
  if (diagnosing) {
    own.add_options()("json", po::bool_switch(&question.json), "print the findings as JSON, one line a run");
  } else {
    own.add_options()("format", po::value(&question.format)->value_name("FORMAT")->default_value("text"),
                      "text, json, mermaid or dot");
  }
  std::string colour;
  own.add_options()("color", colour_option(colour), colour_help);
  own.add(common_options());
  const CommandLine command_line = parse_command_line(words, own);
  if (answered(command_line, Hop::launcher, diagnosing ? diagnose_usage : report_usage, own))
    return std::nullopt;
  if (command_line.rest.size() > 1)
    throw Failure(fmt::format("one TRACE is needed, not {}; see --help", command_line.rest.size()));
  if (command_line.rest.empty()) throw Failure("one TRACE is needed; see --help");
  question.contract = parse_contract_options(contract);
  question.colour = parse_colour_choice(colour);
  question.trace = command_line.rest.front();
  return question;
}

/// A run with what it is held against.
struct Case {
  std::vector<HopRecord> records;
  ContractOptions contract;

  [[nodiscard]] JudgedRun judged() const { return judge_by(contract, records); }
};

/// What a trace has to be judged, and how much of it could not be read.
struct Cases {
  std::vector<Case> runs;
  std::size_t lines_rejected = 0;
};

// A pipe is waited for where it was asked for, as `-`, alone; a device may have no end.
std::string file_of(const std::string& trace) {
  if (trace == "-") return "/dev/stdin";
  struct stat status {};
  const bool is_no_file =
      ::stat(trace.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
  if (is_no_file) throw Failure(printable(trace) + ": not a regular file; `-` reads a trace from stdin");
  return trace;
}

Cases read_cases(const Question& question) {
  const auto only = question.run.empty() ? std::nullopt : std::optional(question.run);
  TraceContent content = read_trace(file_of(question.trace), only);
  for (const std::string& remark : content.remarks)
    print_error(Hop::launcher, question.trace + ": " + remark);
  Cases cases{{}, content.lines_rejected};
  for (auto& run : content.runs) cases.runs.push_back({std::move(run), question.contract});
  return cases;
}

ReportFormat parse_format(const std::string& text) {
  const auto format = parse_report_format(text);
  if (!format) throw Failure("--format " + printable(text) + ": not one of text, json, mermaid, dot");
  return *format;
}

// Several runs in one text need a line between them that names them.
std::string heading(const std::vector<Case>& cases, const Case& shown) {
  if (cases.size() == 1) return "";
  return fmt::format("{}run {}\n\n", &shown == &cases.front() ? "" : "\n",
                     printable(shown.records.front().run));
}

// A question that cannot be answered is status 2, whatever was wrong with it.
template <typename Answer>
int answer(Answer give) {
  return guarded(
      [&] {
        try {
          return give();
        } catch (const std::exception& error) {
          throw Failure(error.what(), unusable);
        }
      },
      [](std::string_view text, int) { print_error(Hop::launcher, text); });
}

}  // namespace

int diagnose(const std::vector<std::string>& words) {
  return answer([&] {
    const auto question = parse(words, true);
    if (!question) return 0;
    const Cases cases = read_cases(*question);
    bool clean = true;
    Verdict verdict;
    for (const Case& shown : cases.runs) {
      const JudgedRun run = shown.judged();
      clean &= allowances_for(run.diagnosis).empty();
      verdict.add(verdict_of(run.diagnosis, {}));
      write_all_patiently(STDOUT_FILENO,
                          question->json ? json_findings(run)
                                         : heading(cases.runs, shown) +
                                               text_report(run, page_of(STDOUT_FILENO, question->colour)),
                          "stdout");
    }
    save_baseline(question->contract, verdict.found);
    if (!clean) return 1;
    // Who left lines out cannot say that nothing is wrong.
    return cases.lines_rejected > 0 ? unusable : 0;
  });
}

int report(const std::vector<std::string>& words) {
  return answer([&] {
    const auto question = parse(words, false);
    if (!question) return 0;
    const ReportFormat format = parse_format(question->format);
    Verdict verdict;
    const Cases cases = read_cases(*question);
    for (const Case& shown : cases.runs) {
      const JudgedRun run = shown.judged();
      verdict.add(verdict_of(run.diagnosis, {}));
      const std::string text = write_report(format, run, page_of(STDOUT_FILENO, question->colour));
      write_all_patiently(STDOUT_FILENO,
                          (format == ReportFormat::text ? heading(cases.runs, shown) : "") + text, "stdout");
    }
    save_baseline(question->contract, verdict.found);
    return 0;
  });
}

}  // namespace fdchain
