// A directory that is to become somebody's /. Paths inside it are resolved inside it, symbolic links
// included.
#pragma once

#include <string>
#include <string_view>

#include "fdchain/system/owned_fd.h"

namespace fdchain {

/// Opens `path` as a process whose / is `root` would find it, without permission to read; not open, with
/// errno, when it is not there.
OwnedFd look_up_in(const std::string& root, const std::string& path);

/// Opens the directory `path` of the root file system, made with all its parents where it is missing. A
/// symbolic link leads where it leads inside the root.
OwnedFd directory_in(const std::string& root, const std::string& path);

/// Makes an empty file to mount something on, where there is nothing yet.
void make_file_in(const std::string& root, const std::string& path);

/// Throws Failure when `root` is not a directory that can be entered.
void check_rootfs(const std::string& root);

/// Makes what is missing in `root` of the places that something will be mounted at: /proc, /dev, and the path
/// of the notify socket when that is not empty. They stay there. To be done as the caller: in a user
/// namespace somebody else's directory may be out of reach.
void make_mount_points(const std::string& root, std::string_view notify_socket);

/// Makes `root` a mount point with what a payload expects: a /dev with null, zero, full, random, urandom and
/// tty. Runs in a mount namespace of this process's own.
void furnish_rootfs(const std::string& root);

/// Lets the host's /proc be seen in `root`: for a payload in the host's pid namespace.
void show_proc_in(const std::string& root);

/// Lets the socket at `path` be seen at the same path in `root`.
void show_notify_socket_in(const std::string& root, std::string_view path);

}  // namespace fdchain
