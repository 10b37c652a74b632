#pragma once

#include "fdchain/model/hop_record.h"
#include "fdchain/system/socket/adopt.h"

namespace fdchain {

/// Prints on stdout, as one JSON object, what the payload got: the record of its arrival, as a trace has it,
/// and what adopting the sockets returned.
void print_report(const HopRecord& arrival, const Adoption& adoption);

}  // namespace fdchain
