#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "fdchain/judge/rules/evidence.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/printable.h"
#include "fdchain/report/ledger.h"
#include "fdchain/report/report.h"

namespace fdchain {
namespace {

std::string node(Hop hop) {
  std::string name(to_string(hop));
  std::ranges::replace(name, '-', '_');
  return name;
}

std::string node(const HopRecord& column) {
  if (column.moment != Moment::exec) return node(column.hop);
  return fmt::format("wrapper_{}_{}", column.pid, column.time_ns);
}

// How a hop came to be, from what was seen: the same pid is an exec, another session a double fork.
std::string_view inheritance(const HopRecord& before, const HopRecord& after) {
  if (before.pid == after.pid) return "exec";
  return before.sid != after.sid && after.sid == after.pid ? "double fork and exec" : "fork and exec";
}

// The numbers at which a hop has sockets of the contract.
std::vector<int> held_sockets(const HopRecord& record, const Evidence& evidence) {
  std::vector<int> numbers;
  for (const FdRow& row : record.fds) {
    if (evidence.socket_of(row) != nullptr) numbers.push_back(row.number);
  }
  return numbers;
}

std::string carries(const std::vector<int>& numbers) {
  if (numbers.empty()) return "no socket";
  return fmt::format("socket{} {}", numbers.size() == 1 ? "" : "s", fmt::join(numbers, ","));
}

// A text for a quoted label: quotes and backslashes would end it.
std::string quoted(const std::string& text) {
  std::string result = printable(text, 200);
  std::ranges::replace_if(
      result, [](char character) { return character == '"' || character == '\\'; }, '\'');
  return '"' + result + '"';
}

// A program's name outside of quotes, where every mark may mean something.
std::string plain(std::string name) {
  constexpr std::size_t longest = 60;
  if (name.size() > longest) name.resize(longest);
  const auto is_plain = [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '.' || character == '-' || character == '_';
  };
  std::ranges::replace_if(name, std::not_fn(is_plain), '_');
  return name;
}

std::string culprits_node(const Ledger& ledger, const Finding& finding) {
  const auto is_it = [&](const HopRecord* column) {
    return column->moment == Moment::exec && column->pid == finding.culprit_pid &&
           program_of(*column) == finding.culprit_program;
  };
  const auto wrapper = std::ranges::find_if(ledger.columns, is_it);
  const bool is_wrapper = finding.culprit_is_wrapper && wrapper != ledger.columns.end();
  return is_wrapper ? node(**wrapper) : node(finding.culprit.value_or(finding.hop));
}

std::string plain_culprit_of(Finding finding) {
  finding.culprit_program = plain(finding.culprit_program);
  return culprit_of(finding);
}

}  // namespace

std::string mermaid_report(const JudgedRun& run) {
  const Ledger ledger = make_ledger(run);
  const Evidence evidence(run.records, run.contract);
  std::string text = "stateDiagram-v2\n";
  const HopRecord* before = nullptr;
  for (const HopRecord* const record : ledger.columns) {
    text += fmt::format("    state {} as {}\n",
                        quoted(fmt::format("{} (pid {})", plain(heading_of(*record)), record->pid)),
                        node(*record));
  }
  for (const HopRecord* const record : ledger.columns) {
    const std::vector<int> held = held_sockets(*record, evidence);
    if (before == nullptr)
      text += fmt::format("    [*] --> {}: {} from the activator\n", node(*record), carries(held));
    else
      text += fmt::format("    {} --> {}: {} by {}\n", node(*before), node(*record), carries(held),
                          inheritance(*before, *record));
    if (const std::size_t all = ledger.contract.sockets.size();
        record->hop == Hop::launcher && held.size() < all)
      text += fmt::format("    launcher --> launcher: opens {} itself\n", all - held.size());
    before = record;
  }
  for (const Finding& finding : run.diagnosis.findings) {
    if (!finding.known.empty()) continue;
    text += fmt::format("    note right of {}\n        {}{}\n    end note\n", node(finding.hop), finding.id,
                        finding.culprit ? ' ' + plain_culprit_of(finding) : "");
  }
  return text;
}

std::string dot_report(const JudgedRun& run) {
  const Ledger ledger = make_ledger(run);
  const Evidence evidence(run.records, run.contract);
  std::string text = "digraph fdchain {\n  rankdir=LR;\n  node [shape=box];\n";
  const HopRecord* before = nullptr;
  for (const HopRecord* const record : ledger.columns) {
    text += fmt::format("  {} [label=\"{}\\npid {}\"];\n", node(*record), plain(heading_of(*record)),
                        record->pid);
    if (before != nullptr)
      text += fmt::format("  {} -> {} [label=\"{}\"];\n", node(*before), node(*record),
                          inheritance(*before, *record));
    before = record;
  }
  for (std::size_t i = 0; i < ledger.contract.sockets.size(); ++i) {
    const ContractSocket& socket = ledger.contract.sockets[i];
    const std::string address = socket.row.socket ? socket.row.socket->local : socket.row.name;
    text += fmt::format("  socket{} [shape=ellipse, label={}];\n", i,
                        quoted(socket.name + ' ' + socket.row.type + ' ' + address));
    for (const HopRecord* const record : ledger.columns) {
      for (const FdRow* const row : evidence.rows_with(*record, socket.row)) {
        if (is_socket_of(socket, *row))
          text += fmt::format("  {} -> socket{} [style=dashed, arrowhead=none, label=\"{}\"];\n",
                              node(*record), i, row->number);
      }
    }
  }
  for (const Finding& finding : run.diagnosis.findings) {
    if (finding.known.empty()) text += fmt::format("  {} [color=red];\n", culprits_node(ledger, finding));
  }
  return text + "}\n";
}

std::optional<ReportFormat> parse_report_format(std::string_view name) {
  if (name == "text") return ReportFormat::text;
  if (name == "json") return ReportFormat::json;
  if (name == "mermaid") return ReportFormat::mermaid;
  if (name == "dot") return ReportFormat::dot;
  return std::nullopt;
}

std::string write_report(ReportFormat format, const JudgedRun& run, const Page& page) {
  switch (format) {
    case ReportFormat::text: return text_report(run, page);
    case ReportFormat::json: return json_report(run);
    case ReportFormat::mermaid: return mermaid_report(run);
    case ReportFormat::dot: return dot_report(run);
  }
  return {};
}

}  // namespace fdchain
