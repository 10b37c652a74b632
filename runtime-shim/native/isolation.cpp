#include "runtime-shim/native/isolation.h"

#include <string>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/system/fs/namespaces.h"
#include "fdchain/system/fs/rootfs.h"

namespace fdchain {
namespace {

// The path that systemd has to be reached by from another root; empty when there is none.
std::string notify_socket(const Isolation& isolation, const Environment& environment) {
  const std::string path(environment.get(notify_socket_name).value_or(""));
  if (!path.starts_with('@')) return path;
  if (isolation.network) {
    throw Failure("NOTIFY_SOCKET=" + printable(path) +
                  ": an abstract name, which cannot be reached with --network none; --sdnotify conmon or "
                  "ignore does without");
  }
  return {};
}

}  // namespace

void isolate(const Isolation& isolation, const Environment& environment) {
  const bool has_root = !isolation.rootfs.empty();
  const std::string notify = notify_socket(isolation, environment);
  if (has_root) make_mount_points(isolation.rootfs, notify);
  // First: for an ordinary user this one permits the others.
  if (isolation.user) enter_user_namespace();
  if (isolation.network) enter_network_namespace();
  if (has_root) {
    enter_mount_namespace();
    furnish_rootfs(isolation.rootfs);
    if (!isolation.pid) show_proc_in(isolation.rootfs);
    if (!notify.empty()) show_notify_socket_in(isolation.rootfs, notify);
  }
  if (isolation.pid) make_pid_namespace_for_child();
}

FileSystem files_of_payload(const Isolation& isolation, const std::string& workdir) {
  if (isolation.rootfs.empty()) return {};
  check_rootfs(isolation.rootfs);
  return {isolation.rootfs, workdir.empty() ? "/" : workdir};
}

}  // namespace fdchain
