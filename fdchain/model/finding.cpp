#include "fdchain/model/finding.h"

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

}  // namespace fdchain
