#include "runtime-shim/oci/own_executable.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string_view>
#include <system_error>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "runtime-shim/oci/mount_calls.h"

namespace fdchain::oci {
namespace {

constexpr const char* own_executable = "/proc/self/exe";
// What this program is called when it has been executed from where it cannot be written to.
constexpr const char* protected_name = "runtime-shim:protected";
constexpr int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// Asked of the executable itself: a variable that says so could be set by anybody.
bool is_protected() {
  struct statvfs mount {};
  if (::statvfs(own_executable, &mount) == 0 && (mount.f_flag & ST_RDONLY) != 0) return true;
  const OwnedFd file(::open(own_executable, O_RDONLY | O_CLOEXEC));
  const int sealed = file ? ::fcntl(file.get(), F_GET_SEALS) : -1;
  return sealed >= 0 && (sealed & F_SEAL_WRITE) != 0;
}

OwnedFd read_only_mount() try {
  OwnedFd tree = clone_of(AT_FDCWD, own_executable, false, own_executable);
  constexpr std::uint64_t harmless = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
  set_attributes(tree.get(), {harmless, 0}, false, own_executable);
  return tree;
} catch (const std::system_error& error) {
  errno = error.code().value();
  return {};
}

OwnedFd sealed_copy() {
  const OwnedFd file(::open(own_executable, O_RDONLY | O_CLOEXEC));
  OwnedFd copy(::memfd_create("runtime-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file || !copy) return {};
  struct stat status {};
  if (::fstat(file.get(), &status) < 0) return {};
  off_t done = 0;
  while (done < status.st_size) {
    if (retry([&] {
          return ::sendfile(copy.get(), file.get(), &done, static_cast<std::size_t>(status.st_size - done));
        }) <= 0)
      return {};
  }
  if (::fchmod(copy.get(), 0755) < 0 || ::fcntl(copy.get(), F_ADD_SEALS, seals) < 0) return {};
  return copy;
}

}  // namespace

void protect_own_executable(const std::vector<std::string>& words, char** argv, int preserved,
                            const OwnedFd& handed) {
  if (is_protected()) return;
  // Once more would be for ever.
  if (argv[0] != nullptr && std::string_view(argv[0]) == protected_name)
    throw Failure(
        "this program can be written to by the container, though executed from where it should not");
  std::vector<const char*> arguments{protected_name};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  arguments.push_back(nullptr);
  for (int fd = listen_fds_start; fd < listen_fds_start + preserved; ++fd) {
    check(::fcntl(fd, F_SETFD, 0), "fcntl", std::to_string(fd));
  }
  if (handed) check(::fcntl(handed.get(), F_SETFD, 0), "fcntl", std::to_string(handed.get()));
  for (const auto make : {read_only_mount, sealed_copy}) {
    if (const OwnedFd image = make()) {
      ::syscall(SYS_execveat, image.get(), "", arguments.data(), environ, AT_EMPTY_PATH);
    }
  }
  throw Failure(std::string("this program cannot be protected against the container's writing to it: ") +
                std::strerror(errno));
}

}  // namespace fdchain::oci
