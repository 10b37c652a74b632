#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/hop_record.h"

namespace fdchain {

/// What a trace file holds.
struct TraceContent {
  std::vector<std::vector<HopRecord>> runs;  ///< in the order in which they began
  std::vector<std::string> remarks;          ///< what was left out, a sentence each
  std::size_t lines_rejected = 0;  ///< those that are no records; a last one cut short is not counted
};

/// Reads a trace file, or only the records of the run `only`. Memory is bounded, however long the file is:
/// when a trace has more than fits, the oldest runs are left out, and it says so.
///
/// Throws Failure with status 2 when there is nothing to judge: no file, no record, or a schema this program
/// does not know.
TraceContent read_trace(const std::string& path, const std::optional<std::string>& only = std::nullopt);

}  // namespace fdchain
