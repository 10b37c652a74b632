#pragma once

#include <csignal>

#include "fdchain/model/environment.h"
#include "fdchain/protocol/conmon_cli.h"

namespace fdchain {

/// Waits until --exit-delay is over. Meanwhile children are reaped, and what comes on `signals` is dropped.
void wait_out_exit_delay(const ConmonOptions& options, int signals);

/// Runs --exit-command with the signal mask `mask`, and returns its status.
///
/// Waits for whatever else is left to this process too: a container's zombies hold its namespaces.
int run_exit_command(const ConmonOptions& options, const Environment& environment, const sigset_t& mask);

}  // namespace fdchain
