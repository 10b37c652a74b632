#pragma once

#include "fdchain/protocol/oci_cli.h"
#include "fdchain/system/trace/arrival.h"
#include "runtime-shim/oci/journal.h"

namespace fdchain::oci {

/// How many descriptors from 3 upwards are passed on, all of them open: as many as --preserve-fds says, or
/// LISTEN_FDS when it is meant for this process, whichever is more. Not the sum: podman says the same sockets
/// both ways.
///
/// To be called before this process opens anything: a number that was announced wrongly could be a descriptor
/// of our own later.
int accept_preserved(const Arrival& arrival, const Command& command, const Journal& journal);

int create(const Command& command, const Arrival& arrival, int preserved, const Journal& journal);
int start(const Command& command, const Journal& journal);
int run(const Command& command, const Arrival& arrival, int preserved, const Journal& journal);
int exec(const Command& command, const Arrival& arrival, int preserved, const Journal& journal);

}  // namespace fdchain::oci
