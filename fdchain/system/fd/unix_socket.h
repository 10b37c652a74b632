// Unix sockets at paths of any length: sun_path has room for 108 bytes, a bundle's path may be longer.
#pragma once

#include <sys/stat.h>

#include <string>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// A socket of `type` (with flags) bound to `name` in `directory`, in the place of whatever was there, with
/// the permissions `mode`. Close-on-exec. Throws std::system_error naming the path.
OwnedFd bind_unix_socket(const std::string& directory, const std::string& name, int type, mode_t mode);

/// Connects a datagram socket to a path, or to `@NAME`: from then on poll(2) tells when the receiver has
/// room. False with errno when it could not.
bool connect_datagram(int socket, const std::string& path);

/// Sends one datagram to a path, or to `@NAME`, without waiting. False with errno when it could not.
bool send_datagram(int socket, const std::string& path, std::string_view bytes);

/// The descriptor that comes with the next message, close-on-exec; closes those that are too many. Not open
/// when none came, or with errno when nothing could be received. `flags` as of recvmsg(2).
OwnedFd receive_descriptor(int socket, int flags = 0);

}  // namespace fdchain
