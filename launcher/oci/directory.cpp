#include "launcher/oci/directory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fdchain/model/failure.h"
#include "fdchain/program/log.h"
#include "fdchain/system/fd/sys.h"
#include "launcher/shared/temporary.h"

namespace fdchain {
namespace {

namespace fs = std::filesystem;

constexpr const char* cgroups = "/sys/fs/cgroup";

}  // namespace

void make(const ContainerPlace& place) {
  make_temporary_directory(place.path);
  for (const std::string& directory : {place.bundle(), place.exits(), place.state(), place.root()})
    check(::mkdir(directory.c_str(), 0700), "mkdir", directory);
}

OwnedFd hold(const ContainerPlace& place) {
  OwnedFd lock(::open(place.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return lock;
  check(retry([&] { return ::flock(lock.get(), LOCK_EX); }), "flock", place.lock());
  return lock;
}

void remove(const ContainerPlace& place) {
  // Only known names: somebody's mount point must never be entered.
  while (::umount2(place.root().c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  ::rmdir(place.root().c_str());
  std::error_code ignored;
  for (const std::string& directory : {place.bundle(), place.exits(), place.state()})
    fs::remove_all(directory, ignored);
  for (const std::string& file :
       {place.pidfile(), place.monitor_pidfile(), place.runtime_log(), place.lock()})
    ::unlink(file.c_str());
  if (::rmdir(place.path.c_str()) < 0 && errno != ENOENT)
    log::warn("{}: {}; it is left behind", place.path, std::strerror(errno));
}

void enter_own_mounts() {
  if (::unshare(CLONE_NEWNS) < 0)
    throw Failure(std::string("a private mount namespace was refused: ") + std::strerror(errno) +
                  "; the OCI dialect needs root");
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr), "mount", "/ as slave");
}

void show_host_root(const std::string& root) {
  check(::mount("/", root.c_str(), nullptr, MS_BIND | MS_REC, nullptr), "mount", root);
  check(::mount(nullptr, root.c_str(), nullptr, MS_REC | MS_PRIVATE, nullptr), "mount", root + " as private");
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  // Without it the container could write wherever something is mounted.
  const long done =
      ::syscall(SYS_mount_setattr, AT_FDCWD, root.c_str(), AT_RECURSIVE, &attributes, sizeof attributes);
  if (done < 0)
    throw Failure(std::string("mount_setattr: ") + std::strerror(errno) +
                  "; the host's root cannot be shown read-only here: give a root with --rootfs");
}

void show_cgroup2_alone() {
  struct statfs filesystem {};
  if (::statfs(cgroups, &filesystem) < 0 || filesystem.f_type == CGROUP2_SUPER_MAGIC) return;
  check(::umount2(cgroups, MNT_DETACH), "umount", cgroups);
  check(::mount("none", cgroups, "cgroup2", 0, nullptr), "mount", cgroups);
}

}  // namespace fdchain
