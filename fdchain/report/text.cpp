#include <fmt/format.h>

#include <algorithm>

#include "fdchain/model/printable.h"
#include "fdchain/report/ledger.h"
#include "fdchain/report/report.h"

namespace fdchain {
namespace {

constexpr std::size_t width = 100;
constexpr std::size_t name_width = 36;
constexpr std::size_t cell_width = 15;

struct Style {
  bool colour;
  [[nodiscard]] std::string paint(std::string_view code, const std::string& text) const {
    return colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  }
  [[nodiscard]] std::string bold(const std::string& text) const { return paint("1", text); }
  [[nodiscard]] std::string severity(Severity severity) const {
    const std::string text(to_string(severity));
    switch (severity) {
      case Severity::critical: return paint("1;31", text);
      case Severity::error: return paint("31", text);
      case Severity::warning: return paint("33", text);
      case Severity::note: return paint("36", text);
    }
    return text;
  }
};

// Of what is too long the middle is left out: the kind is at the start, and the end of a path tells more than
// its beginning.
std::string fit(const std::string& text, std::size_t room) {
  constexpr std::size_t most = 4096;
  const std::string shown = printable(text, most);
  if (shown.size() <= room) return shown;
  const std::size_t start = room / 2;
  return shown.substr(0, start) + '~' + shown.substr(shown.size() - (room - start - 1));
}

std::string table(const Ledger& ledger, const Style& style) {
  std::string head = fmt::format("{:{}}", "", name_width);
  for (const HopRecord* const column : ledger.columns) {
    const std::string hop(to_string(column->hop));
    head += fmt::format(" {:>{}}", hop, cell_width);
  }
  std::string text = style.bold(head) + '\n';
  for (const LedgerRow& row : ledger.rows) {
    text += fmt::format("{:{}}", fit(row.name, name_width), name_width);
    for (const std::string& cell : row.cells)
      text += fmt::format(" {:>{}}", fit(cell, cell_width), cell_width);
    text += '\n';
  }
  return text;
}

// A paragraph under a label, wrapped to the width and indented.
std::string paragraph(std::string_view label, const std::string& content) {
  constexpr std::size_t indent = 10;
  std::string text = fmt::format("  {:{}}", label, indent - 2);
  std::size_t column = indent;
  std::string_view rest = content;
  const std::string shown = printable(rest, 4000);
  rest = shown;
  while (!rest.empty()) {
    const std::size_t blank = rest.find(' ');
    std::string_view word = rest.substr(0, blank);
    if (word.size() > width - indent) word = word.substr(0, width - indent);
    if (column > indent && column + 1 + word.size() > width) {
      text += '\n' + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      text += ' ';
      ++column;
    }
    text += word;
    column += word.size();
    rest.remove_prefix(word.size());
    if (rest.starts_with(' ')) rest.remove_prefix(1);
  }
  return text + '\n';
}

std::string finding_text(const Finding& finding, const Style& style) {
  const std::string culprit =
      finding.culprit ? "by " + std::string(to_string(*finding.culprit)) : "culprit unknown";
  std::string text = fmt::format("\n{} {}, {}, seen at {}", style.severity(finding.severity),
                                 style.bold(finding.id), culprit, to_string(finding.hop));
  if (finding.fd) text += fmt::format(", descriptor {}", *finding.fd);
  return text + '\n' + paragraph("seen", finding.evidence) + paragraph("mend", finding.advice);
}

std::string verdict(const Diagnosis& diagnosis, const Style& style) {
  if (!diagnosis.findings.empty()) {
    return style.bold(
        fmt::format("{} finding{}", diagnosis.findings.size(), diagnosis.findings.size() == 1 ? "" : "s"));
  }
  if (!diagnosis.unknown.empty()) return style.paint("33", "no findings in what was recorded");
  return style.paint("32", "no findings") + ": every hop passed on what it was given, and nothing else";
}

}  // namespace

std::string text_report(const JudgedRun& run, bool colour) {
  const Style style{colour};
  std::string text = table(make_ledger(run), style) + '\n' + verdict(run.diagnosis, style) + '\n';
  for (const Finding& finding : run.diagnosis.findings) text += finding_text(finding, style);
  if (!run.diagnosis.unknown.empty()) {
    text += '\n';
    for (const std::string& sentence : run.diagnosis.unknown) text += paragraph("unknown", sentence);
  }
  return text;
}

}  // namespace fdchain
