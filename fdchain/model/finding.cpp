#include "fdchain/model/finding.h"

#include <algorithm>

namespace fdchain {

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::note: return "note";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
    case Severity::critical: return "critical";
  }
  return "?";
}

std::string list_of(std::span<const Hop> hops) {
  std::string text;
  for (std::size_t i = 0; i < hops.size(); ++i)
    text.append(i == 0 ? "" : i + 1 == hops.size() ? " and " : ", ").append(to_string(hops[i]));
  return text;
}

std::optional<Severity> parse_severity(std::string_view name) {
  static constexpr std::array all{Severity::note, Severity::warning, Severity::error, Severity::critical};
  const auto* const found =
      std::ranges::find(all, name, [](Severity severity) { return to_string(severity); });
  return found == all.end() ? std::nullopt : std::optional(*found);
}

}  // namespace fdchain
