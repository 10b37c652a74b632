#include "payload/report.h"

#include <unistd.h>

#include <boost/json.hpp>

#include "fdchain/protocol/trace.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {

namespace json = boost::json;

void print_report(const HopRecord& arrival, const Adoption& adoption) {
  json::object report = json::parse(encode(arrival)).as_object();
  report["adopted"] = adoption.result;
  report["names"] = json::array(adoption.names.begin(), adoption.names.end());
  report["problem"] = adoption.problem;
  write_all_patiently(STDOUT_FILENO, json::serialize(report) + '\n', "stdout");
}

}  // namespace fdchain
