#include "fdchain/protocol/oci_config.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <limits>
#include <utility>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"

namespace fdchain::oci {
namespace {

namespace json = boost::json;

constexpr std::size_t longest_host_name = 64;  // sethostname(2)

/// A value of the file with the way to it, for the message when it is not what it has to be.
class Node {
 public:
  Node(const json::value& value, std::string where) : value_(&value), where_(std::move(where)) {}

  [[noreturn]] void refuse(const std::string& why) const { throw Failure(where_ + ": " + why); }

  [[nodiscard]] const std::string& where() const { return where_; }

  /// The property, unless it is absent or null.
  [[nodiscard]] std::optional<Node> find(std::string_view key) const {
    const json::value* const found = object().if_contains(key);
    if (found == nullptr || found->is_null()) return std::nullopt;
    return Node(*found, where_ + separator() + std::string(key));
  }

  [[nodiscard]] Node at(std::string_view key) const {
    const auto found = find(key);
    if (!found) throw Failure(where_ + separator() + std::string(key) + ": missing");
    return *found;
  }

  [[nodiscard]] const json::object& object() const {
    if (!value_->is_object()) refuse("not an object");
    return value_->get_object();
  }

  [[nodiscard]] std::string text() const {
    if (!value_->is_string()) refuse("not a string");
    std::string text(value_->get_string());
    if (text.find('\0') != std::string::npos) refuse("a string with a NUL in it");
    return text;
  }

  [[nodiscard]] bool truth() const {
    if (!value_->is_bool()) refuse("neither true nor false");
    return value_->get_bool();
  }

  /// A whole number from `least` to `most`; some writers give 1e3 or 18.0.
  template <typename Integer>
  [[nodiscard]] Integer number(Integer least = std::numeric_limits<Integer>::min(),
                               Integer most = std::numeric_limits<Integer>::max()) const {
    if (value_->is_uint64()) return in_range<Integer>(value_->get_uint64(), least, most);
    if (value_->is_int64()) return in_range<Integer>(value_->get_int64(), least, most);
    if (value_->is_double() && std::trunc(value_->get_double()) == value_->get_double() &&
        std::abs(value_->get_double()) < 9e15)
      return in_range<Integer>(static_cast<std::int64_t>(value_->get_double()), least, most);
    refuse("not a whole number");
  }

  template <typename Visit>
  void each(Visit visit) const {
    if (!value_->is_array()) refuse("not an array");
    std::size_t index = 0;
    for (const json::value& element : value_->get_array()) {
      visit(Node(element, where_ + '[' + std::to_string(index++) + ']'));
    }
  }

  [[nodiscard]] bool is_empty() const {
    return value_->is_null() || (value_->is_array() && value_->get_array().empty()) ||
           (value_->is_object() && value_->get_object().empty());
  }

 private:
  template <typename Integer, typename From>
  Integer in_range(From value, Integer least, Integer most) const {
    if (std::cmp_less(value, least) || std::cmp_greater(value, most)) refuse("out of range");
    return static_cast<Integer>(value);
  }

  // `config.json: process.args`: the file's name stands apart.
  [[nodiscard]] std::string separator() const { return where_.find(": ") == std::string::npos ? ": " : "."; }

  const json::value* value_;
  std::string where_;
};

template <typename Read>
void if_there(const Node& node, std::string_view key, Read read) {
  if (const auto found = node.find(key)) read(*found);
}

void read(const Node& node, std::string& out) { out = node.text(); }
void read(const Node& node, bool& out) { out = node.truth(); }
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
  node.each([&](const Node& element) { read(element, out.emplace_back()); });
}

void read(const Node& node, std::map<std::string, std::string>& out) {
  for (const auto& [key, value] : node.object()) {
    out[std::string(key)] = Node(value, node.where() + '.' + printable(key)).text();
  }
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
    found.each([&](const Node& element) { user.additional_gids.push_back(id_of_process(element)); });
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
  limit.type = node.at("type").text();
  limit.soft = node.at("soft").number<std::uint64_t>();
  limit.hard = node.at("hard").number<std::uint64_t>();
}

void read(const Node& node, ConsoleSize& size) {
  get(node, "height", size.height);
  get(node, "width", size.width);
}

void get_environment(const Node& node, std::vector<std::string>& assignments) {
  if_there(node, "env", [&](const Node& found) {
    found.each([&](const Node& element) {
      const std::string text = element.text();
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
  process.cwd = node.at("cwd").text();
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
  root.path = node.at("path").text();
  get(node, "readonly", root.readonly);
}

void read(const Node& node, Mount& mount) {
  mount.destination = node.at("destination").text();
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
  hook.path = node.at("path").text();
  if (!hook.path.starts_with('/')) node.at("path").refuse("not an absolute path");
  get(node, "args", hook.args);
  get(node, "env", hook.env);
  if_there(node, "timeout", [&](const Node& found) { hook.timeout = found.number<int>(1, 24 * 3600); });
}

struct HookList {
  const char* key;
  std::vector<Hook> Hooks::*list;
};
constexpr std::array hook_lists{
    HookList{"prestart", &Hooks::prestart},
    HookList{"createRuntime", &Hooks::create_runtime},
    HookList{"createContainer", &Hooks::create_container},
    HookList{"startContainer", &Hooks::start_container},
    HookList{"poststart", &Hooks::poststart},
    HookList{"poststop", &Hooks::poststop},
};

void read(const Node& node, Hooks& hooks) {
  for (const HookList& each : hook_lists) get(node, each.key, hooks.*each.list);
}

void read(const Node& node, Namespace& space) {
  space.type = node.at("type").text();
  get(node, "path", space.path);
}

void read(const Node& node, IdMapping& mapping) {
  mapping.container_id = id_of_kernel(node.at("containerID"));
  mapping.host_id = id_of_kernel(node.at("hostID"));
  mapping.size = node.at("size").number<std::uint32_t>(1);
}

void read(const Node& node, Device& device) {
  device.type = node.at("type").text();
  device.path = node.at("path").text();
  get(node, "major", device.major);
  get(node, "minor", device.minor);
  // podman writes st_mode as it is, with the type of the file.
  if_there(node, "fileMode", [&](const Node& found) { device.file_mode = found.number<mode_t>() & 07777; });
  if_there(node, "uid", [&](const Node& found) { device.uid = id_of_kernel(found); });
  if_there(node, "gid", [&](const Node& found) { device.gid = id_of_kernel(found); });
}

// Which limits are set; their values are of no use to somebody who makes no cgroups.
void read_resources(const Node& node, Linux& linux_) {
  for (const auto& [controller, value] : node.object()) {
    const Node found(value, node.where() + '.' + printable(controller));
    if (found.is_empty()) continue;
    if (controller == "devices") {
      linux_.device_rules = true;
    } else if (value.is_object()) {
      for (const auto& [key, limit] : value.get_object()) {
        if (Node(limit, found.where()).is_empty()) continue;
        linux_.resources.push_back(printable(controller) + '.' + printable(key));
      }
    } else {
      linux_.resources.push_back(printable(controller));
    }
  }
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
  const std::string version = node.text();
  if (version.starts_with("1.") && version.size() > 2) return;
  node.refuse(printable(version) + ": this runtime knows version 1, up to " + std::string(specification));
}

// What the kernel takes, and no line of a log, a prompt or a file of hosts can be forged with.
void get_name(const Node& node, std::string_view key, std::string& name) {
  if_there(node, key, [&](const Node& found) {
    name = found.text();
    if (name.size() > longest_host_name) found.refuse("longer than 64 bytes");
    if (std::ranges::any_of(name, [](unsigned char c) { return c < ' ' || c == 0x7f; }))
      found.refuse(printable(name) + ": a control character in it");
  });
}

void read(const Node& node, Config& config) {
  check_version(node.at("ociVersion"));
  config.oci_version = node.at("ociVersion").text();
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
  read(Node(value, std::string(file)), result);
  return result;
}

json::array array_of(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

// Optional properties are left out when they say nothing.
void put(json::object& object, const char* key, const std::vector<std::string>& texts) {
  if (!texts.empty()) object[key] = array_of(texts);
}

void put(json::object& object, const char* key, const std::string& text) {
  if (!text.empty()) object[key] = text;
}

void put(json::object& object, const char* key, const std::map<std::string, std::string>& texts) {
  if (texts.empty()) return;
  json::object written;
  for (const auto& [name, value] : texts) written[name] = value;
  object[key] = std::move(written);
}

template <typename T>
void put(json::object& object, const char* key, const std::optional<T>& number) {
  if (number) object[key] = *number;
}

template <typename T, typename Write>
void put(json::object& object, const char* key, const std::vector<T>& values, Write write) {
  if (values.empty()) return;
  json::array written;
  for (const T& value : values) written.push_back(write(value));
  object[key] = std::move(written);
}

json::object write(const User& user) {
  json::object object{{"uid", user.uid}, {"gid", user.gid}};
  put(object, "umask", user.umask);
  if (!user.additional_gids.empty())
    object["additionalGids"] = json::array(user.additional_gids.begin(), user.additional_gids.end());
  return object;
}

json::object write(const Capabilities& sets) {
  return {{"bounding", array_of(sets.bounding)},
          {"effective", array_of(sets.effective)},
          {"inheritable", array_of(sets.inheritable)},
          {"permitted", array_of(sets.permitted)},
          {"ambient", array_of(sets.ambient)}};
}

json::object write(const Process& process) {
  json::object object;
  if (process.terminal) object["terminal"] = true;
  if (process.console_size)
    object["consoleSize"] =
        json::object{{"height", process.console_size->height}, {"width", process.console_size->width}};
  object["user"] = write(process.user);
  object["args"] = array_of(process.args);
  put(object, "env", process.env);
  object["cwd"] = process.cwd;
  if (process.capabilities) object["capabilities"] = write(*process.capabilities);
  put(object, "rlimits", process.rlimits, [](const Rlimit& limit) {
    return json::object{{"type", limit.type}, {"hard", limit.hard}, {"soft", limit.soft}};
  });
  if (process.no_new_privileges) object["noNewPrivileges"] = true;
  put(object, "oomScoreAdj", process.oom_score_adj);
  put(object, "apparmorProfile", process.apparmor_profile);
  put(object, "selinuxLabel", process.selinux_label);
  return object;
}

json::object write(const Mount& mount) {
  json::object object{{"destination", mount.destination}};
  put(object, "type", mount.type);
  put(object, "source", mount.source);
  put(object, "options", mount.options);
  return object;
}

json::object write(const Hook& hook) {
  json::object object{{"path", hook.path}};
  put(object, "args", hook.args);
  if (hook.env) object["env"] = array_of(*hook.env);
  put(object, "timeout", hook.timeout);
  return object;
}

json::object write(const Hooks& hooks) {
  json::object object;
  for (const HookList& each : hook_lists) {
    put(object, each.key, hooks.*each.list, [](const Hook& hook) { return write(hook); });
  }
  return object;
}

json::object write(const IdMapping& mapping) {
  return {{"containerID", mapping.container_id}, {"hostID", mapping.host_id}, {"size", mapping.size}};
}

json::object write(const Device& device) {
  json::object object{{"type", device.type}, {"path", device.path}};
  if (device.type != "p") {
    object["major"] = device.major;
    object["minor"] = device.minor;
  }
  put(object, "fileMode", device.file_mode);
  put(object, "uid", device.uid);
  put(object, "gid", device.gid);
  return object;
}

json::object write(const Linux& linux_) {
  json::object object;
  put(object, "namespaces", linux_.namespaces, [](const Namespace& space) {
    json::object written{{"type", space.type}};
    put(written, "path", space.path);
    return written;
  });
  const auto mapping = [](const IdMapping& value) { return write(value); };
  put(object, "uidMappings", linux_.uid_mappings, mapping);
  put(object, "gidMappings", linux_.gid_mappings, mapping);
  put(object, "devices", linux_.devices, [](const Device& device) { return write(device); });
  put(object, "sysctl", linux_.sysctl);
  put(object, "rootfsPropagation", linux_.rootfs_propagation);
  put(object, "maskedPaths", linux_.masked_paths);
  put(object, "readonlyPaths", linux_.readonly_paths);
  put(object, "cgroupsPath", linux_.cgroups_path);
  put(object, "mountLabel", linux_.mount_label);
  return object;
}

}  // namespace

Config decode_config(std::string_view text, std::string_view file) { return decode<Config>(text, file); }

Process decode_process(std::string_view text, std::string_view file) { return decode<Process>(text, file); }

std::string encode(const Process& process) { return json::serialize(write(process)); }

std::string encode(const Config& config) {
  json::object object{{"ociVersion", config.oci_version}};
  if (config.process) object["process"] = write(*config.process);
  json::object root{{"path", config.root.path}};
  if (config.root.readonly) root["readonly"] = true;
  object["root"] = std::move(root);
  put(object, "hostname", config.hostname);
  put(object, "domainname", config.domainname);
  put(object, "mounts", config.mounts, [](const Mount& mount) { return write(mount); });
  if (json::object hooks = write(config.hooks); !hooks.empty()) object["hooks"] = std::move(hooks);
  put(object, "annotations", config.annotations);
  object["linux"] = write(config.linux_);
  return json::serialize(object);
}

}  // namespace fdchain::oci
