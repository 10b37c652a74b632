#pragma once

#include <string>
#include <vector>

#include "fdchain/model/hop_record.h"

namespace fdchain::test {

/// The records with every number that differs from run to run replaced by one that does not: pids by the role
/// of the process, inodes by their order; and `directory` by /DIR.
///
/// Before the report is made, so that the length of a pid does not move a word to the next line.
std::vector<HopRecord> normalise(std::vector<HopRecord> records, const std::string& directory);

/// A report of such records with the numbers of the roles made words: LNCH, MNTR, SHIM, PAYL, and OTHR for a
/// process of somebody else.
std::string name_roles(std::string report);

}  // namespace fdchain::test
