#include <algorithm>
#include <boost/json.hpp>
#include <limits>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/protocol/json_node.h"
#include "fdchain/protocol/oci_config.h"
#include "fdchain/protocol/oci_hook_lists.h"

namespace fdchain::oci {
namespace {

namespace json = boost::json;

constexpr std::size_t longest_host_name = 64;  // sethostname(2)

struct ConfigRefusal {
  static constexpr bool null_is_absent = true;
  static constexpr std::string_view after_root = ": ";  // `config.json: process.args`

  static std::string_view words(JsonWant want) {
    switch (want) {
      case JsonWant::present: return "missing";
      case JsonWant::object: return "not an object";
      case JsonWant::array: return "not an array";
      case JsonWant::text: return "not a string";
      case JsonWant::flag: return "neither true nor false";
      case JsonWant::whole_number: return "not a whole number";
      case JsonWant::in_range: break;
    }
    return "out of range";
  }

  [[noreturn]] static void refuse(const std::string& where, std::string_view why) {
    throw Failure(where + ": " + std::string(why));
  }
};
using Node = JsonNode<ConfigRefusal>;

// No string of a configuration may have a NUL in it: it ends up with the kernel.
std::string text_of(const Node& node) {
  std::string text = node.text();
  if (text.find('\0') != std::string::npos) node.refuse("a string with a NUL in it");
  return text;
}

template <typename Read>
void if_there(const Node& node, std::string_view key, Read read) {
  if (const auto found = node.find(key)) read(*found);
}

void read(const Node& node, std::string& out) { out = text_of(node); }
void read(const Node& node, bool& out) { out = node.flag(); }
void read(const Node& node, unsigned& out) { out = node.number<unsigned>(); }
void read(const Node& node, unsigned short& out) { out = node.number<unsigned short>(); }

template <typename T>
void read(const Node& node, std::optional<T>& out) {
  T value{};
  read(node, value);
  out = std::move(value);
}

template <typename T>
void read(const Node& node, std::vector<T>& out) {
  out.clear();
  node.each_element([&](const Node& element) { read(element, out.emplace_back()); });
}

void read(const Node& node, std::map<std::string, std::string>& out) {
  node.each_member([&](std::string key, const Node& value) { out[std::move(key)] = text_of(value); });
}

template <typename T>
void get(const Node& node, std::string_view key, T& out) {
  if_there(node, key, [&](const Node& found) { read(found, out); });
}

// In runc's words. Of a file's owner and of a mapping more is legal: everything but the kernel's "leave it".
std::uint32_t id_of_process(const Node& node) {
  const auto id = node.number<std::int64_t>();
  if (!std::in_range<std::uint32_t>(id) || id > greatest_id)
    node.refuse(std::to_string(id) + ": uids and gids must be in range 0-2147483647");
  return static_cast<std::uint32_t>(id);
}

std::uint32_t id_of_kernel(const Node& node) {
  return node.number<std::uint32_t>(0, std::numeric_limits<std::uint32_t>::max() - 1);
}

void read(const Node& node, User& user) {
  if_there(node, "uid", [&](const Node& found) { user.uid = id_of_process(found); });
  if_there(node, "gid", [&](const Node& found) { user.gid = id_of_process(found); });
  if_there(node, "umask", [&](const Node& found) { user.umask = found.number<mode_t>(0, 0777); });
  if_there(node, "additionalGids", [&](const Node& found) {
    found.each_element([&](const Node& element) { user.additional_gids.push_back(id_of_process(element)); });
  });
}

void read(const Node& node, Capabilities& sets) {
  get(node, "bounding", sets.bounding);
  get(node, "effective", sets.effective);
  get(node, "inheritable", sets.inheritable);
  get(node, "permitted", sets.permitted);
  get(node, "ambient", sets.ambient);
}

void read(const Node& node, Rlimit& limit) {
  limit.type = text_of(node.at("type"));
  limit.soft = node.at("soft").number<std::uint64_t>();
  limit.hard = node.at("hard").number<std::uint64_t>();
}

void read(const Node& node, ConsoleSize& size) {
  get(node, "height", size.height);
  get(node, "width", size.width);
}

void get_environment(const Node& node, std::vector<std::string>& assignments) {
  if_there(node, "env", [&](const Node& found) {
    found.each_element([&](const Node& element) {
      const std::string text = text_of(element);
      if (text.find('=', 1) == std::string::npos) element.refuse(printable(text) + ": not NAME=VALUE");
      assignments.push_back(text);
    });
  });
}

void read(const Node& node, Process& process) {
  get(node, "terminal", process.terminal);
  get(node, "consoleSize", process.console_size);
  get(node, "user", process.user);
  read(node.at("args"), process.args);
  if (process.args.empty()) node.at("args").refuse("empty: there is nothing to run");
  get_environment(node, process.env);
  process.cwd = text_of(node.at("cwd"));
  if (!process.cwd.starts_with('/')) node.at("cwd").refuse("not an absolute path");
  get(node, "capabilities", process.capabilities);
  get(node, "rlimits", process.rlimits);
  get(node, "noNewPrivileges", process.no_new_privileges);
  if_there(node, "oomScoreAdj",
           [&](const Node& found) { process.oom_score_adj = found.number<int>(-1000, 1000); });
  get(node, "apparmorProfile", process.apparmor_profile);
  get(node, "selinuxLabel", process.selinux_label);
  for (const auto* const key : {"scheduler", "ioPriority", "execCPUAffinity"}) {
    if_there(node, key, [&](const Node& found) {
      if (!found.is_empty()) process.unsupported.emplace_back(key);
    });
  }
}

void read(const Node& node, Root& root) {
  root.path = text_of(node.at("path"));
  get(node, "readonly", root.readonly);
}

void read(const Node& node, Mount& mount) {
  mount.destination = text_of(node.at("destination"));
  // Deprecated, and meant from the root.
  if (!mount.destination.starts_with('/')) mount.destination.insert(0, 1, '/');
  get(node, "type", mount.type);
  get(node, "source", mount.source);
  get(node, "options", mount.options);
  for (const auto* const key : {"uidMappings", "gidMappings"}) {
    if_there(node, key, [&](const Node& found) { mount.id_mapped |= !found.is_empty(); });
  }
}

void read(const Node& node, Hook& hook) {
  hook.path = text_of(node.at("path"));
  if (!hook.path.starts_with('/')) node.at("path").refuse("not an absolute path");
  get(node, "args", hook.args);
  get(node, "env", hook.env);
  if_there(node, "timeout", [&](const Node& found) { hook.timeout = found.number<int>(1, 24 * 3600); });
}

void read(const Node& node, Hooks& hooks) {
  for (const HookList& each : hook_lists) get(node, each.key, hooks.*each.list);
}

void read(const Node& node, Namespace& space) {
  space.type = text_of(node.at("type"));
  get(node, "path", space.path);
}

void read(const Node& node, IdMapping& mapping) {
  mapping.container_id = id_of_kernel(node.at("containerID"));
  mapping.host_id = id_of_kernel(node.at("hostID"));
  mapping.size = node.at("size").number<std::uint32_t>(1);
}

void read(const Node& node, Device& device) {
  device.type = text_of(node.at("type"));
  device.path = text_of(node.at("path"));
  get(node, "major", device.major);
  get(node, "minor", device.minor);
  // podman writes st_mode as it is, with the type of the file.
  if_there(node, "fileMode", [&](const Node& found) { device.file_mode = found.number<mode_t>() & 07777; });
  if_there(node, "uid", [&](const Node& found) { device.uid = id_of_kernel(found); });
  if_there(node, "gid", [&](const Node& found) { device.gid = id_of_kernel(found); });
}

// Which limits are set; their values are of no use to somebody who makes no cgroups.
void read_resources(const Node& node, Linux& linux_) {
  node.each_member([&](const std::string& controller, const Node& found) {
    if (found.is_empty()) return;
    if (controller == "devices") {
      linux_.device_rules = true;
    } else if (found.is_object()) {
      found.each_member([&](const std::string& key, const Node& limit) {
        if (!limit.is_empty()) linux_.resources.push_back(printable(controller) + '.' + printable(key));
      });
    } else {
      linux_.resources.push_back(printable(controller));
    }
  });
}

void read(const Node& node, Linux& linux_) {
  get(node, "namespaces", linux_.namespaces);
  get(node, "uidMappings", linux_.uid_mappings);
  get(node, "gidMappings", linux_.gid_mappings);
  get(node, "devices", linux_.devices);
  get(node, "sysctl", linux_.sysctl);
  get(node, "rootfsPropagation", linux_.rootfs_propagation);
  get(node, "maskedPaths", linux_.masked_paths);
  get(node, "readonlyPaths", linux_.readonly_paths);
  get(node, "cgroupsPath", linux_.cgroups_path);
  get(node, "mountLabel", linux_.mount_label);
  if_there(node, "resources", [&](const Node& found) { read_resources(found, linux_); });
  if_there(node, "seccomp", [&](const Node& found) { linux_.seccomp = !found.is_empty(); });
  for (const auto* const key : {"intelRdt", "personality", "timeOffsets"}) {
    if_there(node, key, [&](const Node& found) {
      if (!found.is_empty()) linux_.unsupported.emplace_back(key);
    });
  }
}

// The specification promises that every 1.x can be read by who knows 1.0.
void check_version(const Node& node) {
  const std::string version = text_of(node);
  if (version.starts_with("1.") && version.size() > 2) return;
  node.refuse(printable(version) + ": this runtime knows version 1, up to " + std::string(specification));
}

// What the kernel takes, and no line of a log, a prompt or a file of hosts can be forged with.
void get_name(const Node& node, std::string_view key, std::string& name) {
  if_there(node, key, [&](const Node& found) {
    name = text_of(found);
    if (name.size() > longest_host_name) found.refuse("longer than 64 bytes");
    if (std::ranges::any_of(name, [](unsigned char c) { return c < ' ' || c == 0x7f; }))
      found.refuse(printable(name) + ": a control character in it");
  });
}

void read(const Node& node, Config& config) {
  check_version(node.at("ociVersion"));
  config.oci_version = text_of(node.at("ociVersion"));
  read(node.at("root"), config.root);
  get(node, "process", config.process);
  get_name(node, "hostname", config.hostname);
  get_name(node, "domainname", config.domainname);
  get(node, "mounts", config.mounts);
  get(node, "hooks", config.hooks);
  get(node, "annotations", config.annotations);
  get(node, "linux", config.linux_);
}

json::value parse(std::string_view text, std::string_view file) {
  json::error_code error;
  json::value value = json::parse(text, error);
  if (error) throw Failure(std::string(file) + ": not JSON: " + error.message());
  return value;
}

template <typename T>
T decode(std::string_view text, std::string_view file) {
  const json::value value = parse(text, file);
  T result;
  read(Node(value, file), result);
  return result;
}

}  // namespace

Config decode_config(std::string_view text, std::string_view file) { return decode<Config>(text, file); }

Process decode_process(std::string_view text, std::string_view file) { return decode<Process>(text, file); }

}  // namespace fdchain::oci
