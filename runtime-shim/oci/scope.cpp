#include "runtime-shim/oci/scope.h"

#include <algorithm>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "runtime-shim/oci/container.h"
#include "runtime-shim/oci/privileges.h"

namespace fdchain::oci {
namespace {

// podman limits the number of processes of each container, whether asked or not.
bool is_default_of_podman(const std::string& limit) { return limit == "pids.limit"; }

void check_namespaces(const Linux& linux_) {
  bool has_mount = false;
  for (const Namespace& each : linux_.namespaces) {
    (void)namespace_flag(each.type);
    has_mount |= each.type == "mount";
    const auto same = [&](const Namespace& other) { return other.type == each.type; };
    if (std::ranges::count_if(linux_.namespaces, same) > 1)
      throw Failure("linux.namespaces: " + printable(each.type) + ": twice");
    if (each.type == "user" && each.path.empty() &&
        (linux_.uid_mappings.empty() || linux_.gid_mappings.empty()))
      throw Failure("linux.uidMappings and linux.gidMappings: needed for a new user namespace");
  }
  if (!has_mount) throw Failure("linux.namespaces: without a mount namespace the mounts would be the host's");
}

void check_limits(const Linux& linux_, const Command& command, std::vector<std::string>& ignored) {
  if (command.cgroup_manager == "disabled") return;
  for (const std::string& limit : linux_.resources) {
    if (!is_default_of_podman(limit))
      throw Failure("linux.resources." + limit +
                    ": a limit needs a cgroup, and this runtime makes none; --cgroup-manager disabled does "
                    "without");
  }
  if (!linux_.resources.empty() || linux_.device_rules || !linux_.cgroups_path.empty())
    ignored.emplace_back(
        "linux.cgroupsPath and linux.resources: no cgroup is made, so no limit and no device rule holds");
}

void check_confinement(const Process& process, std::vector<std::string>& ignored) {
  if (!process.selinux_label.empty()) ignored.emplace_back("process.selinuxLabel: nothing is labelled");
  if (!process.apparmor_profile.empty())
    ignored.emplace_back("process.apparmorProfile: the process keeps the caller's profile");
  for (const std::string& name : unknown_capabilities(process))
    ignored.emplace_back("process.capabilities: " + name + ": no such capability");
}

void check_process(const Process& process) {
  if (!process.unsupported.empty())
    throw Failure("process." + process.unsupported.front() + ": not carried out by this runtime");
  check_privileges(process);
}

void refuse_if_strict(const std::vector<std::string>& ignored, const Command& command) {
  if (command.strict && !ignored.empty()) throw Failure(ignored.front() + " (--strict)");
}

}  // namespace

std::vector<std::string> check_scope(const Config& config, const Command& command) {
  check_namespaces(config.linux_);
  if (!config.linux_.unsupported.empty())
    throw Failure("linux." + config.linux_.unsupported.front() + ": not carried out by this runtime");
  if (config.process) check_process(*config.process);
  std::vector<std::string> ignored;
  // What guards the host comes first.
  if (config.linux_.seccomp) ignored.emplace_back("linux.seccomp: no system call is filtered");
  if (config.process) check_confinement(*config.process, ignored);
  if (!config.linux_.mount_label.empty()) ignored.emplace_back("linux.mountLabel: nothing is labelled");
  check_limits(config.linux_, command, ignored);
  refuse_if_strict(ignored, command);
  return ignored;
}

std::vector<std::string> check_scope(const Process& process, const Command& command) {
  check_process(process);
  std::vector<std::string> ignored;
  check_confinement(process, ignored);
  refuse_if_strict(ignored, command);
  return ignored;
}

void check_names(const Config& config, const std::vector<std::string>& own) {
  if (std::ranges::find(own, "uts") != own.end()) return;
  for (const auto& [property, name] :
       {std::pair{"hostname", &config.hostname}, std::pair{"domainname", &config.domainname}}) {
    if (!name->empty())
      throw Failure(std::string(property) +
                    ": it would be the host's, without a uts namespace of the container's own");
  }
}

void warn_of(const std::vector<std::string>& ignored, const Journal& journal) {
  std::string all;
  for (const std::string& each : ignored) all += (all.empty() ? "" : "; ") + each;
  if (!all.empty()) journal.warning("not carried out: " + all);
}

}  // namespace fdchain::oci
