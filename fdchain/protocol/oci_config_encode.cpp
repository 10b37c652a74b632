#include <boost/json.hpp>
#include <utility>

#include "fdchain/protocol/oci_config.h"
#include "fdchain/protocol/oci_hook_lists.h"

namespace fdchain::oci {
namespace {

namespace json = boost::json;

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
