// The trace: JSON lines, one HopRecord each. The format is in trace.schema.json beside this file.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "fdchain/model/hop_record.h"

namespace fdchain {

/// One line, newline included. Bytes that are not UTF-8 are written as \xNN.
std::string encode(const HopRecord& record);

/// A row as it stands in a trace, for other JSON that shows rows.
boost::json::object to_json(const FdRow& row);

/// Why a line is not a record.
struct BadRecord {
  enum class Kind {
    not_json,      ///< cut short, or something else altogether
    newer_schema,  ///< written by a later version
    not_a_record,  ///< JSON without what a record must have
  };
  Kind kind = Kind::not_json;
  std::string why;
};

/// Reads one line. Unknown keys are ignored.
std::variant<HopRecord, BadRecord> decode_record(std::string_view line);

}  // namespace fdchain
