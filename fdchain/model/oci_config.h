// What an OCI runtime is told of a container: config.json of a bundle, as values.
//
// Of the specification (version 1.0.2, for Linux) everything is here that the runtime shim carries out; of
// the rest, what it has to know in order to refuse it or to say that it is ignored.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fdchain::oci {

/// The version of the specification that is written, and that is told in `state` and `--version`.
inline constexpr const char* specification = "1.0.2";

/// The largest user or group id that a process can be given, as with runc: what is above is negative to many
/// a program, and the last one means "leave it" to the kernel.
inline constexpr std::uint32_t greatest_id = 2'147'483'647;

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::optional<mode_t> umask;
  std::vector<gid_t> additional_gids;

  friend bool operator==(const User&, const User&) = default;
};

/// The five sets of a process, as names: CAP_KILL.
struct Capabilities {
  std::vector<std::string> bounding;
  std::vector<std::string> effective;
  std::vector<std::string> inheritable;
  std::vector<std::string> permitted;
  std::vector<std::string> ambient;

  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

struct Rlimit {
  std::string type;  ///< RLIMIT_NOFILE
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;

  friend bool operator==(const Rlimit&, const Rlimit&) = default;
};

struct ConsoleSize {
  unsigned short height = 0;
  unsigned short width = 0;

  friend bool operator==(const ConsoleSize&, const ConsoleSize&) = default;
};

/// `process` of a configuration; also what `exec --process FILE` reads.
struct Process {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  User user;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::string cwd = "/";
  std::optional<Capabilities> capabilities;  ///< nothing: none; for `exec`, those of the container
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::optional<int> oom_score_adj;
  std::string apparmor_profile;
  std::string selinux_label;
  std::vector<std::string> unsupported;  ///< what is set and not carried out by anybody here: `scheduler`

  friend bool operator==(const Process&, const Process&) = default;
};

struct Root {
  std::string path;
  bool readonly = false;

  friend bool operator==(const Root&, const Root&) = default;
};

struct Mount {
  std::string destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
  bool id_mapped = false;  ///< uidMappings or gidMappings are given

  friend bool operator==(const Mount&, const Mount&) = default;
};

struct Hook {
  std::string path;
  std::vector<std::string> args;
  std::optional<std::vector<std::string>> env;  ///< nothing: the environment of whoever runs the hook
  std::optional<int> timeout;                   ///< seconds

  friend bool operator==(const Hook&, const Hook&) = default;
};

struct Hooks {
  std::vector<Hook> prestart;
  std::vector<Hook> create_runtime;
  std::vector<Hook> create_container;
  std::vector<Hook> start_container;
  std::vector<Hook> poststart;
  std::vector<Hook> poststop;

  friend bool operator==(const Hooks&, const Hooks&) = default;
};

/// A namespace that the container has for itself, or, with a path, one that exists.
struct Namespace {
  std::string type;  ///< pid, network, mount, ipc, uts, user, cgroup, time
  std::string path;  ///< empty: a new one

  friend bool operator==(const Namespace&, const Namespace&) = default;
};

struct IdMapping {
  std::uint32_t container_id = 0;
  std::uint32_t host_id = 0;
  std::uint32_t size = 0;

  friend bool operator==(const IdMapping&, const IdMapping&) = default;
};

struct Device {
  std::string type;  ///< c, b, u or p
  std::string path;
  unsigned major = 0;
  unsigned minor = 0;
  std::optional<mode_t> file_mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;

  friend bool operator==(const Device&, const Device&) = default;
};

struct Linux {
  std::vector<Namespace> namespaces;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
  std::vector<Device> devices;
  std::map<std::string, std::string> sysctl;
  std::string rootfs_propagation;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::string cgroups_path;
  std::vector<std::string> resources;  ///< the limits of `resources` that are set: `memory.limit`
  bool device_rules = false;           ///< `resources.devices` has entries
  bool seccomp = false;                ///< a profile is given
  std::string mount_label;
  std::vector<std::string> unsupported;  ///< other properties with a meaning that nobody here carries out

  friend bool operator==(const Linux&, const Linux&) = default;
};

/// A whole config.json.
struct Config {
  std::string oci_version = specification;
  Root root;
  std::optional<Process> process;
  std::string hostname;
  std::string domainname;
  std::vector<Mount> mounts;
  Hooks hooks;
  std::map<std::string, std::string> annotations;
  Linux linux_;  ///< `linux`, which some compilers define

  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace fdchain::oci
