// The table of the text report as values: a column per hop, a row per thing that travelled.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "fdchain/model/hop_record.h"

namespace fdchain {

/// One row: a name, and what each hop had of it.
struct LedgerRow {
  std::string name;
  std::vector<std::string> cells;  ///< one for each column
};

struct Ledger {
  std::vector<const HopRecord*> columns;  ///< the first look at each hop that was seen
  std::vector<LedgerRow> rows;
};

/// Sockets first, in their order; then what was preserved, the handshake, stdio where it is worth a look, and
/// whatever else crossed an exec.
Ledger make_ledger(std::span<const HopRecord> records);

/// The contract of a run: as written down by the launcher, else nothing.
const Contract* contract_of(std::span<const HopRecord> records);

/// The first look at a hop: its arrival, else what was seen of it from outside; null when it was not seen.
const HopRecord* first_look(std::span<const HopRecord> records, Hop hop);

/// What the child of a hop held just before exec; null when that was not seen.
const HopRecord* departure_of(std::span<const HopRecord> records, Hop hop);

}  // namespace fdchain
