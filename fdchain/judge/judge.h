// Trace in, findings out.
#pragma once

#include <optional>
#include <span>

#include "fdchain/model/expectation.h"
#include "fdchain/model/finding.h"
#include "fdchain/model/hop_record.h"

namespace fdchain {

/// Says what went wrong in one run, earliest hop first, one finding a cause; nothing for a healthy chain.
///
/// Knows nothing of the faults that were injected: a diagnosis that peeked would prove nothing. Works with
/// whatever records there are, and says what it could not know. `contract`, when given, replaces what the
/// trace says of what was to be handed over.
///
/// What is `expected` is asserted besides; of a hop that was not seen nothing can be asserted.
Diagnosis judge(std::span<const HopRecord> run, const std::optional<Contract>& contract = std::nullopt,
                std::span<const Expectation> expected = {});

/// Puts the findings that can be why a run failed before the others.
void put_explanations_first(std::vector<Finding>& findings);

}  // namespace fdchain
