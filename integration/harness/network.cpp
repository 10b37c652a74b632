#include "integration/harness/network.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain::test {
namespace {

bool enter() {
  check(::unshare(CLONE_NEWNET | (::geteuid() == 0 ? 0 : CLONE_NEWUSER)), "unshare CLONE_NEWNET");
  const OwnedFd socket(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  ifreq loopback{};
  loopback.ifr_name[0] = 'l';
  loopback.ifr_name[1] = 'o';
  loopback.ifr_flags = IFF_UP;
  check(::ioctl(socket.get(), SIOCSIFFLAGS, &loopback), "ioctl SIOCSIFFLAGS");
  return true;
}

}  // namespace

void enter_private_network() {
  static const bool done = enter();
  (void)done;
}

}  // namespace fdchain::test
