#include "launcher/oci/config.h"

#include <filesystem>

#include "fdchain/model/variables.h"
#include "fdchain/system/exec/find_program.h"

namespace fdchain {
namespace {

std::vector<std::string> usual_capabilities() {
  return {"CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",    "CAP_FSETID",
          "CAP_KILL",    "CAP_NET_BIND_SERVICE", "CAP_SETFCAP",   "CAP_SETGID",
          "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT"};
}

std::vector<oci::Mount> usual_mounts(const Isolation& isolation) {
  std::vector<oci::Mount> mounts;
  if (isolation.pid)
    mounts.push_back({"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}});
  else
    mounts.push_back({"/proc", "bind", "/proc", {"rbind"}});
  mounts.push_back({"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}});
  mounts.push_back(
      {"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}});
  mounts.push_back({"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}});
  mounts.push_back({"/sys", "bind", "/sys", {"rbind", "ro"}});
  return mounts;
}

std::vector<oci::Namespace> namespaces(const Isolation& isolation) {
  std::vector<oci::Namespace> list{{"mount", ""}};
  if (isolation.pid) list.push_back({"pid", ""});
  if (isolation.network) list.push_back({"network", ""});
  return list;
}

// In a container the working directory is another; a program that the caller names from his own is his.
std::vector<std::string> arguments(const RunOptions& options) {
  std::vector<std::string> words = options.payload;
  const bool from_here = options.isolation.rootfs.empty() && options.workdir.empty() &&
                         words.front().find('/') != std::string::npos;
  if (from_here) words.front() = std::filesystem::absolute(words.front()).lexically_normal();
  return words;
}

}  // namespace

oci::Config container_config(const RunOptions& options, const ContainerFacts& facts) {
  oci::Config config;
  config.root = {facts.root, options.isolation.rootfs.empty()};
  oci::Process process;
  process.args = arguments(options);
  process.cwd = options.workdir.empty() ? "/" : options.workdir;
  process.env = {"PATH=" + std::string(standard_path), "HOME=/root", "container=fdchain"};
  for (const std::string& assignment : options.environment) process.env.push_back(assignment);
  for (const std::string& assignment : facts.announcement) process.env.push_back(assignment);
  if (facts.notify_socket)
    process.env.push_back(std::string(notify_socket_name) + '=' + *facts.notify_socket);
  const auto usual = usual_capabilities();
  process.capabilities = oci::Capabilities{usual, usual, {}, usual, {}};
  config.process = std::move(process);
  config.mounts = usual_mounts(options.isolation);
  if (facts.notify_directory) {
    const std::string directory = std::filesystem::path(*facts.notify_socket).parent_path();
    config.mounts.push_back({directory, "bind", *facts.notify_directory, {"bind"}});
  }
  config.linux_.namespaces = namespaces(options.isolation);
  return config;
}

}  // namespace fdchain
