#pragma once

#include <memory>
#include <vector>

#include "fdchain/plan/hand_over.h"
#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/trace/arrival.h"
#include "monitor/conmon/streams/container_log.h"

namespace fdchain {

/// All that a monitor needs to begin a container's life with.
struct ContainerStart {
  ConmonOptions options;
  Arrival arrival;
  OwnedFd sync_pipe;   ///< each of the three may be nothing
  OwnedFd start_pipe;  ///< only where there is a second go to wait for
  OwnedFd attach_pipe;
  std::vector<OwnedFd> held;     ///< what came with this process, but for the handshake and the window
  std::vector<FdPass> promised;  ///< those of them, and of the window, that the runtime gets
  std::unique_ptr<ContainerLog> log;
};

/// The life of a container, or of an exec session in one: has the runtime make it, tells the caller, watches
/// it, and publishes its end. Returns this process's exit status: the container's, or 1 when it was never
/// there.
int watch_container(ContainerStart start);

}  // namespace fdchain
