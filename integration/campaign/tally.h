// What has been found of what was to be found.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "integration/campaign/draw.h"
#include "integration/campaign/execute.h"

namespace fdchain::campaign {

/// One run's expectations and findings: a line of the results file.
struct Entry {
  std::uint64_t seed = 0;
  std::uint64_t number = 0;
  Level level = Level::healthy;
  std::vector<std::string> faults;    ///< as given to --fault
  std::vector<std::string> expected;  ///< `fd-leaked monitor`
  std::vector<std::string> found;
  std::string command;

  /// Exactly what was expected, and nothing else.
  [[nodiscard]] bool exact() const;
  /// Everything that was expected.
  [[nodiscard]] bool complete() const;
};

Entry make_entry(std::uint64_t seed, const Run& run, const Outcome& outcome);

std::string encode(const Entry& entry);
Entry decode_entry(const std::string& line);

/// Percentages, and the confusion matrix: who did it, and who was blamed for it.
std::string summary(const std::vector<Entry>& entries);

/// Whether the goals are reached: no finding in a healthy run, every single mistake and every wrapper's found
/// and nothing else, both of two mistakes found in 95 of 100.
bool reaches_goals(const std::vector<Entry>& entries);

}  // namespace fdchain::campaign
