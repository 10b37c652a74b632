#include "fdchain/system/fs/namespaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

// What a user can do about it, from the error that unshare(2) gives.
std::string advice(int error, bool user_namespace) {
  if (error == ENOSPC || error == EUSERS) return "the limit in /proc/sys/user is reached";
  if (error == EINVAL || error == ENOSYS) return "this kernel was built without it";
  if (!user_namespace) return "run as root, or add --userns private";
  return "this system grants none to this user (user_namespaces(7)); run as root without --userns private";
}

void leave(int flag, const std::string& kind) {
  if (::unshare(flag) == 0) return;
  const int error = errno;
  throw Failure("a private " + kind + " namespace was refused: " + std::strerror(error) + "; " +
                advice(error, flag == CLONE_NEWUSER));
}

void write_map(const std::string& path, const std::string& text) {
  const OwnedFd file(check(::open(path.c_str(), O_WRONLY | O_CLOEXEC), "open", path));
  write_all(file.get(), text, path);
}

}  // namespace

void enter_user_namespace() {
  const std::string user = std::to_string(::geteuid());
  const std::string group = std::to_string(::getegid());
  leave(CLONE_NEWUSER, "user");
  // Who may not give up groups outside must not do it by way of a namespace: the kernel asks for this first.
  write_map("/proc/self/setgroups", "deny");
  write_map("/proc/self/uid_map", "0 " + user + " 1");
  write_map("/proc/self/gid_map", "0 " + group + " 1");
}

void enter_network_namespace() {
  leave(CLONE_NEWNET, "network");
  const OwnedFd socket(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  check(::ioctl(socket.get(), SIOCSIFFLAGS, &loopback), "ioctl SIOCSIFFLAGS", "lo");
}

void enter_mount_namespace() {
  leave(CLONE_NEWNS, "mount");
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr), "mount", "/ as a slave");
}

void make_pid_namespace_for_child() { leave(CLONE_NEWPID, "pid"); }

}  // namespace fdchain
