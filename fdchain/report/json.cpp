#include <boost/json.hpp>

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
  object["fd"] = finding.fd ? json::value(*finding.fd) : json::value(nullptr);
  object["socket"] =
      finding.socket.empty() ? json::value(nullptr) : json::value(printable(finding.socket, 400));
  object["evidence"] = printable(finding.evidence, 20'000);
  object["advice"] = finding.advice;
  return object;
}

json::object findings_of(const JudgedRun& run) {
  json::array findings;
  for (const Finding& finding : run.diagnosis.findings) findings.push_back(to_json(finding));
  return {{"run", run.records.empty() ? "" : printable(run.records.front().run)},
          {"findings", std::move(findings)},
          {"unknown", json::array(run.diagnosis.unknown.begin(), run.diagnosis.unknown.end())}};
}

}  // namespace

std::string json_findings(const JudgedRun& run) { return json::serialize(findings_of(run)) + '\n'; }

std::string json_report(const JudgedRun& run) {
  json::object object = findings_of(run);
  object["schema"] = trace_schema;
  json::array records;
  for (const HopRecord& record : run.records) records.push_back(json::parse(encode(record)));
  object["records"] = std::move(records);
  return json::serialize(object) + '\n';
}

}  // namespace fdchain
