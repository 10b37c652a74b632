#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/report/ledger.h"
#include "fdchain/report/report.h"

namespace fdchain {
namespace {

constexpr std::size_t usual_name_width = 36;
constexpr std::size_t usual_cell_width = 15;
constexpr std::size_t least_cell_width = 4;
constexpr std::size_t longest_name = 512;  // a path with every byte written as \xNN fits

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

/// How wide the columns of a table are.
struct Layout {
  std::size_t name;
  std::vector<std::size_t> cells;

  [[nodiscard]] std::size_t of_cells() const {
    return std::accumulate(cells.begin(), cells.end(), cells.size());
  }
};

std::string label_of(const LedgerRow& row) {
  return row.label.empty() ? "" : " (" + printable(row.label, longest_name) + ')';
}

// As wide as what is in it, up to the usual.
std::vector<std::size_t> needed_for_cells(const Ledger& ledger) {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < ledger.headings.size(); ++i) {
    std::size_t width = printable(ledger.headings[i]).size();
    for (const LedgerRow& row : ledger.rows) width = std::max(width, printable(row.cells[i]).size());
    widths.push_back(std::min(width, usual_cell_width));
  }
  return widths;
}

// The usual widths, where every name fits into them or the page has more room for it; or else cells that are
// as narrow as they can be, so that the addresses have the room.
Layout lay_out(const Ledger& ledger, std::size_t columns) {
  std::size_t longest = 0;
  for (const LedgerRow& row : ledger.rows)
    longest = std::max(longest, printable(row.name, longest_name).size() + label_of(row).size());
  Layout layout{std::max(longest, usual_name_width),
                std::vector<std::size_t>(ledger.headings.size(), usual_cell_width)};
  if (layout.name + layout.of_cells() <= columns) return layout;
  layout.cells = needed_for_cells(ledger);
  for (std::size_t most = usual_cell_width; layout.of_cells() > columns && most > least_cell_width;)
    std::ranges::replace(layout.cells, most, most - 1), --most;
  layout.name = std::min(longest, columns - std::min(columns, layout.of_cells()));
  return layout;
}

// An address is never cut: its label is, and what has no room beside the cells stands above them.
std::string name_cell(const LedgerRow& row, std::size_t room, std::size_t columns) {
  constexpr std::size_t least_label = 8;  // a blank, two brackets, and something between them
  const std::string name = printable(row.name, longest_name);
  const std::string label = label_of(row);
  if (name.size() + label.size() <= room) return fmt::format("{:{}}", name + label, room);
  if (!label.empty() && name.size() + least_label <= room) return name + fit(label, room - name.size());
  if (name.size() <= room) return fmt::format("{:{}}", name, room);
  std::string text;
  for (const std::string& line : wrap(name + label, columns)) text += line + '\n';
  return text + std::string(room, ' ');
}

std::string table(const Ledger& ledger, const Style& style, std::size_t columns) {
  const Layout layout = lay_out(ledger, columns);
  std::string head = std::string(layout.name, ' ');
  for (std::size_t i = 0; i < layout.cells.size(); ++i)
    head += fmt::format(" {:>{}}", fit(ledger.headings[i], layout.cells[i]), layout.cells[i]);
  std::string text = style.bold(head) + '\n';
  for (const LedgerRow& row : ledger.rows) {
    text += name_cell(row, layout.name, columns);
    for (std::size_t i = 0; i < layout.cells.size(); ++i)
      text += fmt::format(" {:>{}}", fit(row.cells[i], layout.cells[i]), layout.cells[i]);
    text += '\n';
  }
  return text;
}

// A paragraph under a label, wrapped to the width and indented.
std::string paragraph(std::string_view label, const std::string& content, std::size_t columns) {
  constexpr std::size_t indent = 10;
  std::string text = fmt::format("  {:{}}", label, indent - 2);
  for (const std::string& line : wrap(printable(content, 4000), columns - indent)) {
    if (text.ends_with('\n')) text.append(indent, ' ');
    text += line + '\n';
  }
  return text;
}

// Wrapped; what it begins with is replaced by the same words in colour.
std::string headline(const std::string& plain, const std::string& start, const std::string& painted,
                     std::size_t columns) {
  std::string text;
  for (const std::string& line : wrap(plain, columns)) text += line + '\n';
  return text.starts_with(start) ? painted + text.substr(start.size()) : text;
}

// `of conmon 2.1`, `by --allow env-leaked`
std::string knowledge_of(const Finding& finding) {
  return (finding.known.starts_with("--") ? "by " : "of ") + finding.known;
}

std::string finding_text(const Finding& finding, const Style& style, std::size_t columns) {
  const std::string start = fmt::format("{} {}", to_string(finding.severity), finding.id);
  std::string head = fmt::format("{}, {}, seen at {}", start, culprit_of(finding), to_string(finding.hop));
  if (finding.fd) head += fmt::format(", descriptor {}", *finding.fd);
  const std::string known = finding.known.empty() ? "" : paragraph("known", knowledge_of(finding), columns);
  const std::string painted = style.severity(finding.severity) + ' ' + style.bold(finding.id);
  return '\n' + headline(head, start, painted, columns) + paragraph("seen", finding.evidence, columns) +
         paragraph("fix", finding.advice, columns) + known;
}

// What a hop that could not become the next one said of it, else the status that says so.
std::string failure_of(const JudgedRun& run) {
  constexpr std::string_view failed = "failed: ";
  for (const HopRecord& record : run.records) {
    if (record.ended && record.ended->starts_with(failed))
      return fmt::format("{} {}", to_string(record.hop), *record.ended);
  }
  const int status = run.status.value_or(0);
  return is_failure_of_chain(status) ? fmt::format("the run failed with status {}", status) : "";
}

// A run that failed, or of which something was not seen, is acquitted of nothing.
std::string reservation(const JudgedRun& run) {
  std::string text = failure_of(run);
  const auto& hops = run.diagnosis.not_seen;
  if (!hops.empty())
    text.append(text.empty() ? "" : "; ").append(list_of(hops)).append(hops.size() == 1 ? " was" : " were");
  return hops.empty() ? text : text + " not seen";
}

bool is_shown(const JudgedRun& run, const Finding& finding) { return run.all || finding.known.empty(); }

std::string count_of(std::size_t findings) {
  return fmt::format("{} finding{}", findings, findings == 1 ? "" : "s");
}

// One line for all that is known of one version, or for one reason.
std::string folded(const JudgedRun& run, std::size_t columns) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const Finding& finding : run.diagnosis.findings) {
    if (is_shown(run, finding)) continue;
    const std::string by = knowledge_of(finding);
    auto line = std::ranges::find(lines, by, &std::pair<std::string, std::string>::first);
    if (line == lines.end()) line = lines.insert(lines.end(), {by, ""});
    line->second.append(line->second.empty() ? "" : ", ").append(finding.id);
  }
  std::string text = lines.empty() ? "" : "\n";
  for (const auto& [by, ids] : lines) {
    for (const std::string& line : wrap(printable("known " + by + ": " + ids, 4000), columns))
      text += line + '\n';
  }
  return text;
}

std::string verdict(const JudgedRun& run, const Style& style, std::size_t columns) {
  const auto& findings = run.diagnosis.findings;
  const std::string but = reservation(run);
  std::string caution;
  for (const std::string& line : wrap(printable(but, 4000), columns)) {
    if (!but.empty()) caution += style.bold(line) + '\n';
  }
  const auto shown = static_cast<std::size_t>(
      std::ranges::count_if(findings, [&](const Finding& finding) { return is_shown(run, finding); }));
  if (shown > 0) return caution + style.bold(count_of(shown)) + '\n';
  if (!but.empty() || !run.diagnosis.unknown.empty())
    return caution + style.paint("33", "no findings in what was recorded") + '\n';
  if (!findings.empty()) return style.paint("32", "no findings but what is known") + '\n';
  return headline("no findings: every hop passed on what it was given, and nothing else", "no findings",
                  style.paint("32", "no findings"), columns);
}

}  // namespace

std::string culprit_of(const Finding& finding) {
  if (!finding.culprit) return "culprit unknown";
  const std::string hop(to_string(*finding.culprit));
  const std::string program = printable(finding.culprit_program, longest_name);
  if (finding.culprit_is_wrapper) return fmt::format("by {} in {}'s place", program, hop);
  const bool has_own_name = !program.empty() && program != hop && *finding.culprit != Hop::payload;
  return has_own_name ? fmt::format("by {}, the {}", program, hop) : "by " + hop;
}

bool is_failure_of_chain(int status) {
  return exit_status::hop_failed <= status && status <= exit_status::not_found;
}

std::string text_report(const JudgedRun& run, const Page& page) {
  const Style style{page.colour};
  std::string text = table(make_ledger(run), style, page.columns) + '\n' + verdict(run, style, page.columns);
  for (const Finding& finding : run.diagnosis.findings) {
    if (is_shown(run, finding)) text += finding_text(finding, style, page.columns);
  }
  text += folded(run, page.columns);
  if (!run.diagnosis.unknown.empty()) {
    text += '\n';
    for (const std::string& sentence : run.diagnosis.unknown)
      text += paragraph("unknown", sentence, page.columns);
  }
  return text;
}

}  // namespace fdchain
