#include "fdchain/plan/sysctl.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

// By name, not by `kernel.msg…`: the kernel may get one tomorrow that begins so and is the machine's.
constexpr std::array<std::string_view, 8> of_ipc{"kernel/msgmax", "kernel/msgmnb",         "kernel/msgmni",
                                                 "kernel/sem",    "kernel/shmall",         "kernel/shmmax",
                                                 "kernel/shmmni", "kernel/shm_rmid_forced"};

// The type of namespace that a parameter belongs to; empty for one of the whole machine.
std::string_view owner_of(std::string_view path) {
  if (path.starts_with("net/")) return "network";
  if (path.starts_with("fs/mqueue/") || std::ranges::find(of_ipc, path) != of_ipc.end()) return "ipc";
  if (path == "kernel/hostname" || path == "kernel/domainname") return "uts";
  return {};
}

// What comes first, dot or slash, separates; the other is then part of a name:
// net.ipv4.conf.eth0/1.forwarding is about the interface eth0.1.
std::string path_of(std::string name) {
  const std::size_t first = name.find_first_of("./");
  if (first == std::string::npos || name[first] == '/') return name;
  for (char& c : name) {
    if (c == '.' || c == '/') c = c == '.' ? '/' : '.';
  }
  return name;
}

bool leads_elsewhere(const std::string& path) {
  const std::string framed = '/' + path + '/';
  return framed.find("//") != std::string::npos || framed.find("/./") != std::string::npos ||
         framed.find("/../") != std::string::npos;
}

}  // namespace

std::string sysctl_path(const oci::Config& config, const std::vector<std::string>& own,
                        const std::string& name) {
  const auto refuse = [&](const std::string& why) {
    throw Failure("linux.sysctl: " + printable(name) + ": " + why);
  };
  std::string path = path_of(name);
  const std::string_view owner = owner_of(path);
  if (owner.empty() || leads_elsewhere(path)) refuse("not a parameter of a namespace");
  if (std::ranges::find(own, owner) == own.end())
    refuse("it would be the host's, without a " + std::string(owner) + " namespace of the container's own");
  if (path == "kernel/hostname") refuse("the property hostname sets it");
  if (path == "kernel/domainname" && !config.domainname.empty()) refuse("the property domainname sets it");
  return path;
}

}  // namespace fdchain
