#include <fcntl.h>

#include <cerrno>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "runtime-shim/oci/manage.h"

namespace fdchain::oci {
namespace {

std::vector<Mount> usual_mounts() {
  return {
      {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}, false},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}, false},
      {"/dev/pts",
       "devpts",
       "devpts",
       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
       false},
      {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}, false},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}, false},
      {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}, false},
  };
}

Config usual_config() {
  const std::vector<std::string> capabilities{"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
  Config config;
  config.root = {"rootfs", true};
  Process process;
  process.args = {"sh"};
  process.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"};
  process.terminal = true;
  process.capabilities = Capabilities{capabilities, capabilities, {}, capabilities, {}};
  process.no_new_privileges = true;
  config.process = process;
  config.hostname = "fdchain";
  config.mounts = usual_mounts();
  config.linux_.namespaces = {{"pid", ""}, {"network", ""}, {"ipc", ""}, {"uts", ""}, {"mount", ""}};
  config.linux_.masked_paths = {
      "/proc/acpi",       "/proc/asound",      "/proc/kcore",       "/proc/keys",    "/proc/latency_stats",
      "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"};
  config.linux_.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  return config;
}

}  // namespace

int write_spec(const Command& command) {
  const std::string name = command.file.empty() ? "config.json" : command.file;
  const std::string path = name.starts_with('/') ? name : command.bundle + '/' + name;
  const OwnedFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file && errno == EEXIST) throw Failure(printable(path) + ": it exists already");
  if (!file) fail(errno, "open", path);
  write_all(file.get(), encode(usual_config()) + '\n', path);
  return 0;
}

}  // namespace fdchain::oci
