// The names of the environment variables of the chain, but for LISTEN_*.
#pragma once

#include <string_view>

namespace fdchain {

/// conmon's names for the handshake descriptors.
inline constexpr std::string_view sync_pipe_name = "_OCI_SYNCPIPE";
inline constexpr std::string_view start_pipe_name = "_OCI_STARTPIPE";

/// conmon's third, which only `podman exec` and `podman attach` use; we know it when we see it.
inline constexpr std::string_view attach_pipe_name = "_OCI_ATTACHPIPE";

/// Where sd_notify(3) sends READY=1.
inline constexpr std::string_view notify_socket_name = "NOTIFY_SOCKET";

/// Ours: RUN:FILE makes every hop append its records to FILE, under the run's name.
inline constexpr std::string_view trace_name = "FDCHAIN_TRACE";

/// Ours: HOP:NAME[=ARG][,…], the faults that hops shall commit.
inline constexpr std::string_view fault_name = "FDCHAIN_FAULT";

/// Ours: HOP=NAME[,…], the profiles that hops have.
inline constexpr std::string_view profile_name = "FDCHAIN_PROFILE";

}  // namespace fdchain
