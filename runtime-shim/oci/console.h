// Terminals: made in the container, out of its own devpts, and sent to whoever is to hold the other end.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "fdchain/model/oci_config.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fs/rootfs.h"
#include "runtime-shim/oci/interruption.h"

namespace fdchain::oci {

/// Connects to the socket of --console-socket, once its owner takes one more connection. Throws Failure when
/// somebody interrupts before that.
OwnedFd connect_console(const std::string& path, const Interruption& interruption);

/// Makes a terminal in this process's /dev/pts, sends its controlling end over `socket`, and makes the other
/// end this session's terminal and stdio. Runs in the container's process.
///
/// `root`: where /dev/pts is to be found. `newlines`: what the reader of the terminal sees of a line's end.
enum class Newlines { with_return, plain };
void allocate_console(const RootDirectory& root, const OwnedFd& socket, const Process& process,
                      Newlines newlines);

/// A terminal of the caller's, passed through for as long as the process lives.
///
/// Runs in the runtime, for `run -t` and `exec -t` without a console socket: receives the controlling end
/// from `socket`, puts the caller's terminal into raw mode, copies both ways, follows its size, relays the
/// signals of `signals`, and returns the exit status of `pid`.
int pass_terminal_through(const OwnedFd& socket, pid_t pid, const SignalFd& signals);

}  // namespace fdchain::oci
