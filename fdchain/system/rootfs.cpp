#include "fdchain/system/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

constexpr std::array device_names{"null", "zero", "full", "random", "urandom", "tty"};

struct Link {
  const char* target;
  const char* name;
};
constexpr std::array device_links{Link{"/proc/self/fd", "fd"}, Link{"/proc/self/fd/0", "stdin"},
                                  Link{"/proc/self/fd/1", "stdout"}, Link{"/proc/self/fd/2", "stderr"}};

void bind(const std::string& source, const std::string& target, const std::string& shown,
          unsigned long more = 0) {
  check(::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | more, nullptr), "mount", shown);
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
  for (const char* const name : device_names) {
    const std::string device = std::string("/dev/") + name;
    const std::string target = dev + '/' + name;
    // A device node cannot be made in a user namespace; the host's can be shown.
    const OwnedFd made(check(::open(target.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666), "open", target));
    bind(device, target, device);
  }
  for (const Link& link : device_links) {
    check(::symlink(link.target, (dev + '/' + link.name).c_str()), "symlink", link.name);
  }
}

}  // namespace

OwnedFd look_up_in(const std::string& root, const std::string& path) {
  const OwnedFd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return {};
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: somebody has renamed or mounted something meanwhile, and what `..` leads to is not certain.
  constexpr int most_attempts = 1000;
  OwnedFd found;
  for (int attempt = 0; attempt < most_attempts && !found; ++attempt) {
    found = OwnedFd(static_cast<int>(::syscall(SYS_openat2, top.get(), path.c_str(), &how, sizeof how)));
    if (!found && errno != EAGAIN) break;
  }
  return found;
}

OwnedFd directory_in(const std::string& root, const std::string& path) {
  // Mostly it is there: one look instead of a walk with a look at each of its parts.
  if (OwnedFd there = look_up_in(root, path + "/.")) return there;
  OwnedFd directory = look_up_in(root, "/");
  for (std::size_t slash = 0; slash != std::string::npos;) {
    const std::size_t next = path.find('/', slash + 1);
    const std::string so_far = path.substr(0, next);
    const std::string name = so_far.substr(slash + 1);
    if (!name.empty() && ::mkdirat(directory.get(), name.c_str(), 0755) < 0 && errno != EEXIST)
      fail(errno, "mkdir", root + so_far);
    directory = look_up_in(root, so_far);
    if (!directory) fail(errno, "open", root + so_far);
    slash = next;
  }
  return directory;
}

void make_file_in(const std::string& root, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const OwnedFd directory = directory_in(root, slash == 0 ? "/" : path.substr(0, slash));
  const OwnedFd made(::openat(directory.get(), path.substr(slash + 1).c_str(),
                              O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!made && errno != EEXIST) fail(errno, "open", root + path);
}

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
    make_file_in(root, socket);
  } catch (const std::system_error& error) {
    throw Failure("NOTIFY_SOCKET=" + printable(socket) + ": cannot be shown in the root file system: " +
                  error.what() + "; --sdnotify conmon or ignore does without");
  }
}

void furnish_rootfs(const std::string& root) {
  // pivot_root(2) wants a mount point; and nothing the host mounts below it later shall appear in it.
  bind(root, root, root, MS_REC);
  check(::mount(nullptr, root.c_str(), nullptr, MS_REC | MS_PRIVATE, nullptr), "mount", root + " as private");
  furnish_dev(root + "/dev");
}

void show_proc_in(const std::string& root) { bind("/proc", root + "/proc", "/proc", MS_REC); }

void show_notify_socket_in(const std::string& root, std::string_view path) {
  const std::string socket(path);
  const OwnedFd place = look_up_in(root, socket);
  if (!place) fail(errno, "open", root + socket);
  bind(socket, "/proc/self/fd/" + std::to_string(place.get()), socket);
}

}  // namespace fdchain
