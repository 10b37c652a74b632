#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fdchain/model/finding.h"

namespace fdchain {

/// Findings that are expected and do not count, the value of --allow: `ID[@HOP][:FD]`.
struct Allowance {
  std::string id;
  std::optional<Hop> hop;  ///< where it is seen; nothing for anywhere
  std::optional<int> fd;   ///< its first descriptor; nothing for any
  friend bool operator==(const Allowance&, const Allowance&) = default;
};

/// Throws Failure, which does not say whose value the text is.
Allowance parse_allowance(std::string_view text);

/// The text that parse_allowance reads.
std::string to_string(const Allowance& allowance);

/// What allows this finding and no other.
Allowance allowance_for(const Finding& finding);

bool allows(const Allowance& allowance, const Finding& finding);

}  // namespace fdchain
