#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/hop.h"

namespace fdchain {

enum class Severity { note, warning, error, critical };

std::string_view to_string(Severity severity);

/// A breach of the contract, with its cause.
struct Finding {
  std::string id;  ///< kebab-case, one of a fixed list: what scripts compare
  Severity severity = Severity::error;
  Hop hop = Hop::payload;      ///< where it is seen
  std::optional<Hop> culprit;  ///< who caused it; nothing when the trace cannot tell, `evidence` says why
  std::optional<int> fd;       ///< the first descriptor concerned
  std::string socket;          ///< its name or address; empty when it is none of the sockets
  std::string evidence;        ///< what was seen
  std::string advice;          ///< what to change

  friend bool operator==(const Finding&, const Finding&) = default;
};

/// What a judge makes of a trace.
struct Diagnosis {
  std::vector<Finding> findings;     ///< earliest hop first; empty for a healthy chain
  std::vector<std::string> unknown;  ///< what the trace does not tell, a sentence each

  friend bool operator==(const Diagnosis&, const Diagnosis&) = default;
};

}  // namespace fdchain
