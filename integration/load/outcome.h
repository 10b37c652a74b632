#pragma once

#include <string>
#include <vector>

namespace fdchain::load {

/// A line of the campaign's table.
struct Line {
  std::string name;
  std::string value;
  std::string remark = {};
};

/// What one part of the campaign has shown.
struct Outcome {
  std::vector<Line> lines;
  std::vector<std::string> misses;  ///< what was promised and not kept; empty when all was
};

}  // namespace fdchain::load
