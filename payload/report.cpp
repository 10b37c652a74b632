#include "payload/report.h"

#include <unistd.h>

#include <boost/json.hpp>

#include "fdchain/system/files.h"

namespace fdchain {
namespace {

namespace json = boost::json;

json::object to_json(const FdRow& row) {
  json::object object{{"fd", row.number},
                      {"type", row.type},
                      {"mode", row.mode},
                      {"close_on_exec", row.close_on_exec},
                      {"non_blocking", row.non_blocking},
                      {"device", row.device},
                      {"inode", row.inode},
                      {"name", row.name}};
  if (!row.socket) return object;
  object["listening"] = row.socket->listening;
  object["cookie"] = row.socket->cookie;
  object["local"] = row.socket->local;
  object["peer"] = row.socket->peer;
  return object;
}

bool belongs_to_the_chain(std::string_view assignment) {
  return assignment.starts_with("LISTEN_") || assignment.starts_with("NOTIFY_SOCKET=") ||
         assignment.starts_with("_OCI_");
}

}  // namespace

void print_report(const FdTable& table, const Environment& environment, const Adoption& adoption) {
  json::object variables;
  for (const std::string_view assignment : environment.assignments()) {
    const std::size_t equals = assignment.find('=');
    if (belongs_to_the_chain(assignment))
      variables[assignment.substr(0, equals)] = assignment.substr(equals + 1);
  }
  json::array rows;
  for (const FdRow& row : table) rows.push_back(to_json(row));
  const json::object report{{"pid", ::getpid()},
                            {"adopted", adoption.result},
                            {"names", json::array(adoption.names.begin(), adoption.names.end())},
                            {"problem", adoption.problem},
                            {"environment", variables},
                            {"fds", rows}};
  write_all(STDOUT_FILENO, json::serialize(report) + '\n', "stdout");
}

}  // namespace fdchain
