// The table of the text report as values: a column per hop, a row per thing that travelled.
#pragma once

#include <string>
#include <vector>

#include "fdchain/model/hop_record.h"
#include "fdchain/report/report.h"

namespace fdchain {

/// One row: a name, and what each hop had of it.
struct LedgerRow {
  std::string name;
  std::vector<std::string> cells;  ///< one for each heading
  std::string label = {};          ///< how its owner calls it besides; of the two, this is cut first
};

struct Ledger {
  std::vector<const HopRecord*>
      columns;                        ///< what each hop that was seen had when it started, and each wrapper
  std::vector<std::string> headings;  ///< of these, and of the hops that were not seen, in their order
  std::vector<LedgerRow> rows;
  Contract contract;  ///< what was to be handed over, as far as it is known
};

/// What stands above a column: the hop, or a wrapper's own name.
std::string heading_of(const HopRecord& column);

/// Sockets first, in their order; then what was preserved, the handshake, and whatever else crossed an exec.
Ledger make_ledger(const JudgedRun& run);

}  // namespace fdchain
