#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdint>
#include <iterator>

#include "fdchain/model/printable.h"
#include "fdchain/protocol/trace.h"
#include "fdchain/report/report.h"

namespace fdchain {
namespace {

namespace json = boost::json;

json::object to_json(const Finding& finding) {
  json::object object{
      {"id", finding.id}, {"severity", to_string(finding.severity)}, {"hop", to_string(finding.hop)}};
  object["culprit"] = finding.culprit ? json::value(to_string(*finding.culprit)) : json::value(nullptr);
  object["culprit_program"] = finding.culprit_program.empty()
                                  ? json::value(nullptr)
                                  : json::value(printable(finding.culprit_program, 400));
  object["culprit_pid"] = finding.culprit_pid == 0 ? json::value(nullptr) : json::value(finding.culprit_pid);
  object["fd"] = finding.fd ? json::value(*finding.fd) : json::value(nullptr);
  object["socket"] =
      finding.socket.empty() ? json::value(nullptr) : json::value(printable(finding.socket, 400));
  object["evidence"] = printable(finding.evidence, 20'000);
  object["advice"] = finding.advice;
  object["known"] = finding.known.empty() ? json::value(nullptr) : json::value(printable(finding.known, 400));
  return object;
}

json::object findings_of(const JudgedRun& run) {
  json::array findings;
  for (const Finding& finding : run.diagnosis.findings) findings.push_back(to_json(finding));
  json::array not_seen;
  for (const Hop hop : run.diagnosis.not_seen) not_seen.emplace_back(to_string(hop));
  return {{"run", run.records.empty() ? "" : printable(run.records.front().run)},
          {"findings", std::move(findings)},
          {"not_seen", std::move(not_seen)},
          {"unknown", json::array(run.diagnosis.unknown.begin(), run.diagnosis.unknown.end())}};
}

// The code point of the UTF-8 sequence at `at`, which is then behind it. What a serializer has written is
// UTF-8, whole.
std::uint32_t take_code_point(std::string_view text, std::size_t& at) {
  const auto first = static_cast<unsigned char>(text[at++]);
  const int more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  std::uint32_t point = more == 0 ? first : first & (0x3fU >> more);
  for (int i = 0; i < more && at < text.size(); ++i)
    point = point << 6 | (static_cast<unsigned char>(text[at++]) & 0x3fU);
  return point;
}

// The same JSON in printable ASCII alone: DEL and the control characters above it would reach a terminal
// else.
std::string printable_json(const json::value& value) {
  const std::string text = json::serialize(value);
  std::string ascii;
  for (std::size_t at = 0; at < text.size();) {
    const std::uint32_t point = take_code_point(text, at);
    if (point < 0x7f) {
      ascii += static_cast<char>(point);
    } else if (point < 0x10000) {
      fmt::format_to(std::back_inserter(ascii), "\\u{:04x}", point);
    } else {
      fmt::format_to(std::back_inserter(ascii), "\\u{:04x}\\u{:04x}", 0xd7c0 + (point >> 10),
                     0xdc00 + (point & 0x3ff));
    }
  }
  return ascii + '\n';
}

}  // namespace

std::string json_findings(const JudgedRun& run) { return printable_json(findings_of(run)); }

std::string json_report(const JudgedRun& run) {
  json::object object = findings_of(run);
  object["schema"] = trace_schema;
  json::array records;
  for (const HopRecord& record : run.records) records.push_back(json::parse(encode(record)));
  object["records"] = std::move(records);
  return printable_json(object);
}

}  // namespace fdchain
