// A directory that is to become somebody's /. Paths inside it are resolved inside it, symbolic links
// included.
#pragma once

#include <sys/stat.h>

#include <array>
#include <string>
#include <string_view>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {

/// A device that every /dev has.
struct StandardDevice {
  const char* name;
  unsigned major;
  unsigned minor;
};
inline constexpr std::array standard_devices{
    StandardDevice{"null", 1, 3},   StandardDevice{"zero", 1, 5},    StandardDevice{"full", 1, 7},
    StandardDevice{"random", 1, 8}, StandardDevice{"urandom", 1, 9}, StandardDevice{"tty", 5, 0},
};

/// A symbolic link in /dev.
struct DevLink {
  const char* target;
  const char* name;
};
inline constexpr std::array standard_links{
    DevLink{"/proc/self/fd", "fd"}, DevLink{"/proc/self/fd/0", "stdin"}, DevLink{"/proc/self/fd/1", "stdout"},
    DevLink{"/proc/self/fd/2", "stderr"}};

/// A directory that is to become somebody's /, opened once: what its name leads to afterwards is of no
/// consequence.
struct RootDirectory {
  std::string path;  ///< for messages
  OwnedFd fd;
};

/// Throws when it is not a directory.
RootDirectory open_root(const std::string& path);

/// Opens `path` as a process whose / is `root` would find it, without permission to read; not open, with
/// errno, when it is not there.
OwnedFd look_up_in(const RootDirectory& root, const std::string& path);

/// The same for a single look: not open, with errno, when `root` itself is not there either.
OwnedFd look_up_in(const std::string& root, const std::string& path);

/// Opens what `path` of the root file system is, or makes a directory there, with all its parents where they
/// are missing. A symbolic link leads where it leads inside the root, also when nothing is there yet.
OwnedFd directory_in(const RootDirectory& root, const std::string& path);

/// The same with an empty file to mount something on.
OwnedFd file_in(const RootDirectory& root, const std::string& path);

/// Opens `name` of a directory, an empty file that is made when nothing is there. Follows no link: a link
/// itself is opened then. `subject` is for the message.
OwnedFd plain_file_at(const OwnedFd& directory, const std::string& name, const std::string& subject);

/// fstat(2). `subject` is for the message.
struct stat stat_of(const OwnedFd& fd, const std::string& subject);

bool is_symbolic_link(const OwnedFd& fd);

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
