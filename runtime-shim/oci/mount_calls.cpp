#include "runtime-shim/oci/mount_calls.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "fdchain/model/printable.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain::oci {
namespace {

bool is_directory(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

// Raises an error of the new mount calls with what the file system itself has to say about it.
[[noreturn]] void fail_with_log(int context, int error, const std::string& subject) {
  std::array<char, 512> said{};
  const ssize_t got = ::read(context, said.data(), said.size() - 1);
  std::string text = "mount " + printable(subject) + ": " + std::strerror(error);
  if (got > 2)
    text += " (" + printable(std::string_view(said.data() + 2, static_cast<std::size_t>(got - 2))) + ")";
  throw NoFileSystem(text, error);
}

}  // namespace

int mount_of(int directory, const char* path) {
  struct statx status {};
  check(::statx(directory, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &status), "statx", path);
  return static_cast<int>(status.stx_mnt_id);
}

void set_attributes(int tree, const MountAttributes& attributes, bool recursive, const std::string& subject) {
  if (attributes == MountAttributes{}) return;
  mount_attr wanted{};
  wanted.attr_set = attributes.set;
  wanted.attr_clr = attributes.clear;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  check(::mount_setattr(tree, "", flags, &wanted, sizeof wanted), "mount_setattr", subject);
}

void set_propagation(int tree, std::uint64_t propagation, bool recursive, const std::string& subject) {
  mount_attr wanted{};
  wanted.propagation = propagation;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  check(::mount_setattr(tree, "", flags, &wanted, sizeof wanted), "mount_setattr", subject);
}

void attach(int tree, int target, const std::string& subject) {
  if (::move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0) return;
  const int error = errno;
  // EINVAL says many things; this one can be said better.
  fail(error == EINVAL && is_directory(tree) != is_directory(target) ? ENOTDIR : error, "move_mount",
       subject);
}

OwnedFd new_file_system(const std::string& type, const std::string& source, const MountOptions& options,
                        const std::string& subject) {
  const OwnedFd context(::fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!context) {
    const int error = errno;
    throw NoFileSystem("mount " + printable(subject) + ": " + printable(type) + ": " + std::strerror(error),
                       error);
  }
  if (!source.empty()) ::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", source.c_str(), 0);
  for (const auto& [key, value] : options.data) {
    const int result = value.empty()
                           ? ::fsconfig(context.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
                           : ::fsconfig(context.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
    if (result < 0) fail_with_log(context.get(), errno, subject);
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
    fail_with_log(context.get(), errno, subject);
  OwnedFd tree(::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(options.attributes.set)));
  if (!tree) fail_with_log(context.get(), errno, subject);
  return tree;
}

OwnedFd clone_of(int directory, const std::string& path, bool recursive, const std::string& subject) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (path.empty() ? AT_EMPTY_PATH : 0U) |
                         (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  return OwnedFd(check(::open_tree(directory, path.c_str(), flags), "open_tree", subject));
}

}  // namespace fdchain::oci
