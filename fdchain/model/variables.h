// The names of the environment variables of the chain, but for LISTEN_*.
#pragma once

#include <sys/types.h>

#include <array>
#include <string_view>
#include <vector>

#include "fdchain/model/environment.h"

namespace fdchain {

/// conmon's names for the handshake descriptors.
inline constexpr std::string_view sync_pipe_name = "_OCI_SYNCPIPE";
inline constexpr std::string_view start_pipe_name = "_OCI_STARTPIPE";

/// conmon's third, which only `podman exec` and `podman attach` use; we know it when we see it.
inline constexpr std::string_view attach_pipe_name = "_OCI_ATTACHPIPE";

/// Where sd_notify(3) sends READY=1.
inline constexpr std::string_view notify_socket_name = "NOTIFY_SOCKET";

/// Who is to send WATCHDOG=1, and how often: sd_watchdog_enabled(3).
inline constexpr std::string_view watchdog_pid_name = "WATCHDOG_PID";
inline constexpr std::string_view watchdog_usec_name = "WATCHDOG_USEC";

/// Which process the service manager has started, and so for whom the environment is meant: systemd.exec(5).
inline constexpr std::string_view systemd_exec_pid_name = "SYSTEMD_EXEC_PID";

/// The variables that name the process for which they are meant, LISTEN_PID aside, which goes with the
/// sockets. MAINPID and MANAGERPID are none of them: they name another process, whoever reads them.
inline constexpr std::array pid_variables{watchdog_pid_name, systemd_exec_pid_name};

/// Whether a trace has this variable.
bool is_chain_variable(std::string_view name);

/// Whether a value is the number of this process, read as systemd reads it.
bool names_process(std::string_view value, pid_t pid);

/// Those of `pid_variables` that name this process.
std::vector<std::string_view> pid_variables_naming(const Environment& environment, pid_t pid);

/// Ours: RUN:FILE makes every hop append its records to FILE, under the run's name.
inline constexpr std::string_view trace_name = "FDCHAIN_TRACE";

/// Ours: HOP:NAME[=ARG][,…], the faults that hops shall commit.
inline constexpr std::string_view fault_name = "FDCHAIN_FAULT";

/// Ours: HOP=NAME[,…], the profiles that hops have.
inline constexpr std::string_view profile_name = "FDCHAIN_PROFILE";

}  // namespace fdchain
