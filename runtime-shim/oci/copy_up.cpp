#include "runtime-shim/oci/copy_up.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <memory>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/rootfs.h"

namespace fdchain::oci {
namespace {

constexpr int deepest = 64;

void copy_file(int from, int to, const char* name, const std::string& subject) {
  const OwnedFd in(
      check(::openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), "open", subject));
  // At the name may be something else by now, with another owner.
  const struct stat status = stat_of(in, subject);
  if (!S_ISREG(status.st_mode)) throw Failure(subject + ": it has changed while it was copied");
  const OwnedFd out(
      check(::openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), "open", subject));
  constexpr std::size_t most_at_once = 1UL << 30;
  while (check(retry([&] { return ::sendfile(out.get(), in.get(), nullptr, most_at_once); }), "copy",
               subject) > 0) {
  }
  check(::fchown(out.get(), status.st_uid, status.st_gid), "chown", subject);
  check(::fchmod(out.get(), status.st_mode & 07777), "chmod", subject);
}

void copy_link(int from, int to, const char* name, const struct stat& status, const std::string& subject) {
  std::array<char, PATH_MAX + 1> target{};
  check(::readlinkat(from, name, target.data(), target.size() - 1), "readlink", subject);
  check(::symlinkat(target.data(), to, name), "symlink", subject);
  check(::fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW), "chown", subject);
}

void copy_entries(int from, int to, const std::string& subject, int depth) {
  if (depth > deepest) throw Failure(subject + ": deeper than " + std::to_string(deepest) + " directories");
  OwnedFd readable(check(::openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", subject));
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(readable.get()), ::closedir);
  if (!entries) fail(errno, "open", subject);
  (void)readable.release();
  while (const dirent* const entry = ::readdir(entries.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = subject + '/' + name;
    struct stat status {};
    check(::fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat", path);
    if (S_ISREG(status.st_mode)) {
      copy_file(from, to, name.c_str(), path);
    } else if (S_ISLNK(status.st_mode)) {
      copy_link(from, to, name.c_str(), status, path);
    } else if (S_ISDIR(status.st_mode)) {
      check(::mkdirat(to, name.c_str(), 0700), "mkdir", path);
      const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
      const OwnedFd inner_from(check(::openat(from, name.c_str(), flags), "open", path));
      const OwnedFd inner_to(check(::openat(to, name.c_str(), flags), "open", path));
      copy_entries(inner_from.get(), inner_to.get(), path, depth + 1);
      const struct stat inner = stat_of(inner_from, path);
      check(::fchown(inner_to.get(), inner.st_uid, inner.st_gid), "chown", path);
      check(::fchmod(inner_to.get(), inner.st_mode & 07777), "chmod", path);
    }
  }
}

}  // namespace

void copy_up(int from, int to, const std::string& subject) { copy_entries(from, to, subject, 0); }

}  // namespace fdchain::oci
