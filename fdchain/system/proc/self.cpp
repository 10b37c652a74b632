#include "fdchain/system/proc/self.h"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {
namespace {

constexpr auto pid_fs_magic = 0x50494446;  // PID_FS_MAGIC of linux/magic.h since 6.9

}  // namespace

Environment own_environment() {
  std::vector<std::string> assignments;
  for (char** entry = environ; *entry != nullptr; ++entry) assignments.emplace_back(*entry);
  return Environment(std::move(assignments));
}

Self observe_self() {
  Self self{::getpid(), std::nullopt};
  const OwnedFd pidfd(open_pidfd(self.pid));
  struct statfs filesystem {};
  struct stat status {};
  // Before pidfs every pidfd has the same anonymous inode, which names nobody.
  const bool tells = pidfd && ::fstatfs(pidfd.get(), &filesystem) == 0 && filesystem.f_type == pid_fs_magic &&
                     ::fstat(pidfd.get(), &status) == 0;
  if (tells) self.pidfdid = status.st_ino;
  return self;
}

}  // namespace fdchain
