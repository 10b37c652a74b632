// The calls about containers that there are.
#pragma once

#include "fdchain/protocol/oci_cli.h"
#include "runtime-shim/oci/journal.h"

namespace fdchain::oci {

int print_state(const Command& command);
int send_signal(const Command& command, const Journal& journal);
int remove(const Command& command, const Journal& journal);
int list(const Command& command, const Journal& journal);
int print_processes(const Command& command);
int print_features();
int write_spec(const Command& command);

}  // namespace fdchain::oci
