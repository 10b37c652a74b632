#include "runtime-shim/oci/enter_root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/mountinfo.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "runtime-shim/oci/mount_calls.h"

namespace fdchain::oci {
namespace {

/// The mounts of the old tree. The list is opened once: soon there will be no /proc to open it in.
class OldTree {
 public:
  /// The new root must lie on / already, and / be the old root still.
  explicit OldTree(const RootDirectory& root)
      : top_(mount_of(AT_FDCWD, "/")), new_root_(mount_of(root.fd.get())) {}

  /// All that can be detached. What is mounted below something goes with it.
  void detach() {
    for (bool again = true; again;) {
      again = false;
      // The last one first: it may lie on top of another.
      std::vector<MountInfo> mounts = read();
      std::ranges::reverse(mounts);
      for (const MountInfo& mount : mounts) {
        if (mount.parent == top_ && mount.id != top_)
          again |= ::umount2(mount.point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0;
      }
    }
  }

  /// In a user namespace the mounts of the outer one cannot be detached.
  void cover_proc_and_sys() {
    for (const MountInfo& mount : read()) {
      // A part of one does not count for the kernel.
      if ((mount.type == "proc" || mount.type == "sysfs") && mount.root == "/") cover(mount);
    }
  }

 private:
  // Without the new root, and what is mounted in it.
  std::vector<MountInfo> read() { return mounts_outside(new_root_, parse_mountinfo(list())); }

  std::string list() {
    check(::lseek(list_.get(), 0, SEEK_SET), "lseek", "/proc/self/mountinfo");
    return read_all(list_.get(), "/proc/self/mountinfo");
  }

  void cover(const MountInfo& mount) {
    const OwnedFd place(::open(mount.point.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (place && mount_of(place.get()) == mount.id) {
      attach(new_file_system("tmpfs", "tmpfs", {}, mount.point).get(), place.get(), mount.point);
      return;
    }
    const auto covers = [&](const MountInfo& other) {
      return other.parent == mount.id && other.point == mount.point;
    };
    if (!std::ranges::any_of(read(), covers))
      throw Failure("--no-pivot: the host's " + printable(mount.point) +
                    " can be neither detached nor covered");
  }

  OwnedFd list_{check(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), "open", "/proc/self/mountinfo")};
  int top_;
  int new_root_;
};

void move_root(const RootDirectory& root) {
  // A root moved on top of a shared / would come to lie on the host's.
  check(::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr), "mount", "the host's root");
  check(::mount(".", "/", nullptr, MS_MOVE, nullptr), "mount", root.path);
  OldTree old(root);
  old.detach();
  old.cover_proc_and_sys();
  check(::chroot("."), "chroot", root.path);
}

void pivot_root(const RootDirectory& root) {
  // The old root comes to lie on top of the new one, and is let go of there.
  check(static_cast<int>(::syscall(SYS_pivot_root, ".", ".")), "pivot_root", root.path);
  // With rootfsPropagation shared its mounts are still peers of the host's, which would be unmounted, too.
  check(::mount(nullptr, ".", nullptr, MS_SLAVE | MS_REC, nullptr), "mount", "the host's root");
  check(::umount2(".", MNT_DETACH), "umount", "the host's root");
}

}  // namespace

void enter_root(const RootDirectory& root, bool no_pivot) {
  check(::fchdir(root.fd.get()), "chdir", root.path);
  if (no_pivot) {
    move_root(root);
  } else {
    pivot_root(root);
  }
  check(::chdir("/"), "chdir", "/");
}

}  // namespace fdchain::oci
