#include "fdchain/system/fs/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

void bind_mount(const std::string& source, const std::string& target, const std::string& subject,
                unsigned long more = 0) {
  check(::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | more, nullptr), "mount", subject);
}

// Where the child will mount by name: what it finds there must not lead out of the root.
void make_plain_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0) return;
  if (errno != EEXIST) fail(errno, "mkdir", path);
  struct stat status {};
  check(::lstat(path.c_str(), &status), "lstat", path);
  if (!S_ISDIR(status.st_mode))
    throw Failure("--rootfs: " + printable(path) + ": not a directory to mount on");
}

void furnish_dev(const std::string& dev) {
  check(::mount("tmpfs", dev.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k"), "mount", dev);
  for (const StandardDevice& each : standard_devices) {
    const std::string device = std::string("/dev/") + each.name;
    const std::string target = dev + '/' + each.name;
    // A device node cannot be made in a user namespace; the host's can be shown.
    const OwnedFd made(check(::open(target.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666), "open", target));
    bind_mount(device, target, device);
  }
  for (const DevLink& link : standard_links) {
    check(::symlink(link.target, (dev + '/' + link.name).c_str()), "symlink", link.name);
  }
}

enum class Kind { directory, file };

// Opens one part of a path without following it; it is made when nothing is there.
OwnedFd part_at(const OwnedFd& directory, const std::string& name, Kind kind, const std::string& subject) {
  if (kind == Kind::directory) {
    if (::mkdirat(directory.get(), name.c_str(), 0755) < 0 && errno != EEXIST) fail(errno, "mkdir", subject);
  } else {
    const OwnedFd made(
        ::openat(directory.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!made && errno != EEXIST) fail(errno, "open", subject);
  }
  return OwnedFd(
      check(::openat(directory.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC), "open", subject));
}

std::string target_of(const OwnedFd& link, const std::string& subject) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length =
      check(::readlinkat(link.get(), "", target.data(), target.size()), "readlink", subject);
  return {target.data(), static_cast<std::size_t>(length)};
}

/// Where a walk has led: to a place, or to a link that leads to nothing yet.
struct Walk {
  OwnedFd place;
  std::string led_to;  ///< the rest of the way, when there is no place
};

// Goes down from directory to directory, and makes what is missing. Only a link and `..` are looked up by
// path: these can lead out of the directory, and must not lead out of the root.
Walk walk(const RootDirectory& root, const std::string& path, Kind kind) {
  OwnedFd at = look_up_in(root, "/");
  for (std::size_t slash = 0; slash != std::string::npos;) {
    const std::size_t next = path.find('/', slash + 1);
    const std::string so_far = path.substr(0, next);
    const std::string name = so_far.substr(slash + 1);
    const std::size_t before = std::exchange(slash, next);
    if (name.empty()) continue;
    const std::string subject = root.path + so_far;
    const bool last = path.find_first_not_of('/', so_far.size()) == std::string::npos;
    OwnedFd below;
    if (name != "..") below = part_at(at, name, last ? kind : Kind::directory, subject);
    const bool link = below && is_symbolic_link(below);
    if (!below || link) {
      at = look_up_in(root, so_far);
      if (at) continue;
      if (!link || errno != ENOENT) fail(errno, "open", subject);
      const std::string target = target_of(below, subject);
      const std::string from = target.starts_with('/') ? "" : path.substr(0, before + 1);
      return {{}, from + target + path.substr(so_far.size())};
    }
    at = std::move(below);
  }
  return {std::move(at), {}};
}

OwnedFd place_in(const RootDirectory& root, const std::string& path, Kind kind) {
  constexpr int most_links = 40;  // as the kernel has it
  std::string way = path;
  for (int links = 0; links <= most_links; ++links) {
    // Mostly it is there: one look instead of a walk.
    if (OwnedFd there = look_up_in(root, way)) return there;
    if (errno != ENOENT) fail(errno, "open", root.path + way);
    Walk walked = walk(root, way, kind);
    if (walked.place) return std::move(walked.place);
    way = walked.led_to;
  }
  fail(ELOOP, "open", root.path + path);
}

}  // namespace

RootDirectory open_root(const std::string& path) {
  return {path, OwnedFd(check(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open", path))};
}

OwnedFd look_up_in(const RootDirectory& root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: somebody has renamed or mounted something meanwhile, and what `..` leads to is not certain.
  constexpr int most_attempts = 1000;
  OwnedFd found;
  for (int attempt = 0; attempt < most_attempts && !found; ++attempt) {
    found = OwnedFd(static_cast<int>(::syscall(SYS_openat2, root.fd.get(), path.c_str(), &how, sizeof how)));
    if (!found && errno != EAGAIN) break;
  }
  return found;
}

OwnedFd look_up_in(const std::string& root, const std::string& path) {
  const RootDirectory opened{root, OwnedFd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))};
  return opened.fd ? look_up_in(opened, path) : OwnedFd();
}

OwnedFd directory_in(const RootDirectory& root, const std::string& path) {
  return place_in(root, path, Kind::directory);
}

OwnedFd file_in(const RootDirectory& root, const std::string& path) {
  return place_in(root, path, Kind::file);
}

OwnedFd plain_file_at(const OwnedFd& directory, const std::string& name, const std::string& subject) {
  return part_at(directory, name, Kind::file, subject);
}

struct stat stat_of(const OwnedFd& fd, const std::string& subject) {
  struct stat status {};
  check(::fstat(fd.get(), &status), "fstat", subject);
  return status;
}

bool is_symbolic_link(const OwnedFd& fd) { return S_ISLNK(stat_of(fd, "").st_mode); }

void check_rootfs(const std::string& root) {
  if (std::filesystem::weakly_canonical(root) == "/")
    throw Failure("--rootfs " + printable(root) + ": the host's own root; leave --rootfs out to keep it");
  const OwnedFd directory(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory && ::faccessat(directory.get(), ".", X_OK, AT_EACCESS) == 0) return;
  throw Failure("--rootfs " + printable(root) + ": " + std::strerror(errno));
}

void make_mount_points(const std::string& root, std::string_view notify_socket) {
  make_plain_directory(root + "/proc");
  make_plain_directory(root + "/dev");
  if (notify_socket.empty()) return;
  const std::string socket(notify_socket);
  try {
    struct stat status {};
    check(::stat(socket.c_str(), &status), "stat", socket);
    (void)file_in(open_root(root), socket);
  } catch (const std::system_error& error) {
    throw Failure("NOTIFY_SOCKET=" + printable(socket) + ": cannot be shown in the root file system: " +
                  error.what() + "; --sdnotify conmon or ignore does without");
  }
}

void furnish_rootfs(const std::string& root) {
  // pivot_root(2) wants a mount point; and nothing the host mounts below it later shall appear in it.
  bind_mount(root, root, root, MS_REC);
  check(::mount(nullptr, root.c_str(), nullptr, MS_REC | MS_PRIVATE, nullptr), "mount", root + " as private");
  furnish_dev(root + "/dev");
}

void show_proc_in(const std::string& root) { bind_mount("/proc", root + "/proc", "/proc", MS_REC); }

void show_notify_socket_in(const std::string& root, std::string_view path) {
  const std::string socket(path);
  const OwnedFd place = look_up_in(root, socket);
  if (!place) fail(errno, "open", root + socket);
  bind_mount(socket, "/proc/self/fd/" + std::to_string(place.get()), socket);
}

}  // namespace fdchain
