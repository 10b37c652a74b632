// What a command line says of the descriptors to pass on, whosever it is.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace fdchain {

/// The N of `--preserve-fds N` or `--preserve-fds=N` among a hop's own words, which end at `--`; of conmon's
/// words, what it is to tell its runtime: `--runtime-opt --preserve-fds --runtime-opt N`. Nothing when it is
/// not there, or no number.
std::optional<int> told_to_preserve(std::span<const std::string_view> words);

/// Whether that number counts the sockets too: not in the words of a native monitor or shim, which are told
/// of their handshake.
bool told_to_count_sockets(std::span<const std::string_view> words);

/// Whether --replace-listen-pid is among them: the sockets are for this hop, whomever LISTEN_PID names.
bool told_to_replace_listen_pid(std::span<const std::string_view> words);

/// Whether --sdnotify-socket is: what the payload tells systemd goes by way of this hop.
bool told_to_relay_notifications(std::span<const std::string_view> words);

/// Whether a launcher is to serve its API on the sockets, and so keeps them: `podman [OPTION…] system
/// service`. Of `podman run IMAGE system service` they are the container's.
bool told_to_keep_sockets(std::span<const std::string_view> words);

}  // namespace fdchain
