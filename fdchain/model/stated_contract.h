#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fdchain/model/hop_record.h"

namespace fdchain {

/// What the user says was to be handed over, the value of --contract: `fds=2,names=web:admin`.
struct StatedContract {
  int count = 0;
  std::optional<std::vector<std::string>> names;
  friend bool operator==(const StatedContract&, const StatedContract&) = default;
};

/// Throws Failure for a text that is none.
StatedContract parse_stated_contract(const std::string& text);

/// What was stated, with everything else as the run itself shows it first.
Contract contract_of(const StatedContract& stated, std::span<const HopRecord> run);

}  // namespace fdchain
