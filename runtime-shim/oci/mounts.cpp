#include "runtime-shim/oci/mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/plan/mount_options.h"
#include "fdchain/system/files.h"
#include "fdchain/system/rootfs.h"
#include "fdchain/system/sys.h"
#include "runtime-shim/oci/copy_up.h"

namespace fdchain::oci {
namespace {

struct Standard {
  const char* path;
  unsigned major;
  unsigned minor;
};
constexpr std::array standard_devices{
    Standard{"/dev/null", 1, 3},   Standard{"/dev/zero", 1, 5},    Standard{"/dev/full", 1, 7},
    Standard{"/dev/random", 1, 8}, Standard{"/dev/urandom", 1, 9}, Standard{"/dev/tty", 5, 0},
};

struct Link {
  const char* target;
  const char* name;
};
constexpr std::array standard_links{
    Link{"/proc/self/fd", "fd"},       Link{"/proc/self/fd/0", "stdin"}, Link{"/proc/self/fd/1", "stdout"},
    Link{"/proc/self/fd/2", "stderr"}, Link{"/proc/kcore", "core"},
};

// Raises an error of the new mount calls with what the file system itself has to say about it.
[[noreturn]] void fail_with_log(int context, int error, const std::string& subject) {
  std::array<char, 512> said{};
  const ssize_t got = ::read(context, said.data(), said.size() - 1);
  std::string text = "mount " + printable(subject) + ": " + std::strerror(error);
  if (got > 2)
    text += " (" + printable(std::string_view(said.data() + 2, static_cast<std::size_t>(got - 2))) + ")";
  throw Failure(text);
}

void set_attributes(int tree, const MountAttributes& attributes, bool recursive, const std::string& subject) {
  if (attributes == MountAttributes{}) return;
  mount_attr wanted{};
  wanted.attr_set = attributes.set;
  wanted.attr_clr = attributes.clear;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  check(::mount_setattr(tree, "", flags, &wanted, sizeof wanted), "mount_setattr", subject);
}

void set_propagation(int tree, std::uint64_t propagation, bool recursive, const std::string& subject) {
  mount_attr wanted{};
  wanted.propagation = propagation;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  check(::mount_setattr(tree, "", flags, &wanted, sizeof wanted), "mount_setattr", subject);
}

void attach(int tree, int target, const std::string& subject) {
  check(::move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH), "move_mount",
        subject);
}

// A new file system that is mounted nowhere yet.
OwnedFd new_file_system(const std::string& type, const std::string& source, const MountOptions& options,
                        const std::string& subject) {
  const OwnedFd context(::fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!context)
    throw Failure("mount " + printable(subject) + ": " + printable(type) + ": " + std::strerror(errno));
  if (!source.empty()) ::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", source.c_str(), 0);
  for (const auto& [key, value] : options.data) {
    const int result = value.empty()
                           ? ::fsconfig(context.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
                           : ::fsconfig(context.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
    if (result < 0) fail_with_log(context.get(), errno, subject);
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
    fail_with_log(context.get(), errno, subject);
  OwnedFd tree(::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(options.attributes.set)));
  if (!tree) fail_with_log(context.get(), errno, subject);
  return tree;
}

OwnedFd clone_of(int directory, const std::string& path, bool recursive, const std::string& subject) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (path.empty() ? AT_EMPTY_PATH : 0U) |
                         (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  return OwnedFd(check(::open_tree(directory, path.c_str(), flags), "open_tree", subject));
}

bool is_directory(const std::string& path) {
  struct stat status {};
  check(::stat(path.c_str(), &status), "mount source", path);
  return S_ISDIR(status.st_mode);
}

OwnedFd existing_target(const std::string& root, const std::string& path) {
  OwnedFd target = look_up_in(root, path);
  if (!target) fail(errno, "open", root + path);
  return target;
}

OwnedFd make_target(const std::string& root, const std::string& path, bool directory) {
  if (OwnedFd there = look_up_in(root, path)) return there;
  if (directory) return directory_in(root, path);
  make_file_in(root, path);
  return existing_target(root, path);
}

// For /proc and /sys: a symbolic link of the image there would move what the masks are meant for.
OwnedFd make_target_without_links(const std::string& root, const std::string& path) {
  OwnedFd made = make_target(root, path, true);
  const OwnedFd top(check(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open", root));
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | O_DIRECTORY;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  OwnedFd target(static_cast<int>(::syscall(SYS_openat2, top.get(), path.c_str(), &how, sizeof how)));
  if (!target) throw Failure("mount " + printable(path) + ": not a plain directory of the root file system");
  return target;
}

void mount_bind(const Mount& mount, const MountOptions& options, const std::string& root) {
  for (const auto& [key, value] : options.data) {
    throw Failure("mount " + printable(mount.destination) + ": " + printable(key) + ": unknown option");
  }
  const OwnedFd tree = clone_of(AT_FDCWD, mount.source, options.recursive, mount.source);
  set_attributes(tree.get(), options.attributes, false, mount.destination);
  set_attributes(tree.get(), options.everywhere, true, mount.destination);
  const OwnedFd target = make_target(root, mount.destination, is_directory(mount.source));
  attach(tree.get(), target.get(), mount.destination);
  const bool said = options.propagation != 0;
  set_propagation(tree.get(), said ? options.propagation : std::uint64_t{MS_PRIVATE},
                  !said || options.propagation_recursive, mount.destination);
}

void mount_new(const Mount& mount, const MountOptions& options, const std::string& root) {
  const bool guarded_place = mount.type == "proc" || mount.type == "sysfs";
  const OwnedFd target = guarded_place ? make_target_without_links(root, mount.destination)
                                       : make_target(root, mount.destination, true);
  MountOptions first = options;
  // Filled before it is made read-only.
  if (options.copy_up) first.attributes.set &= ~std::uint64_t{MOUNT_ATTR_RDONLY};
  const OwnedFd tree = new_file_system(mount.type, mount.source, first, mount.destination);
  if (options.copy_up) {
    copy_up(target.get(), tree.get(), mount.destination);
    set_attributes(tree.get(), options.attributes, false, mount.destination);
  }
  attach(tree.get(), target.get(), mount.destination);
  if (options.propagation != 0)
    set_propagation(tree.get(), options.propagation, options.propagation_recursive, mount.destination);
}

// One hierarchy of /proc/self/cgroup: `4:cpu,cpuacct:/` or `0::/`.
struct Hierarchy {
  std::string controllers;
};

std::vector<Hierarchy> hierarchies() {
  std::ifstream file("/proc/self/cgroup");
  std::vector<Hierarchy> found;
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    found.push_back({line.substr(first + 1, second - first - 1)});
  }
  return found;
}

// On a machine with cgroup v1 hierarchies: each of them in a directory of a tmpfs, as crun and runc show
// them.
void mount_cgroup_v1(const MountOptions& options, const std::string& root, const std::string& destination,
                     std::vector<std::string>& warnings) {
  MountOptions plain;
  plain.attributes = options.attributes;
  plain.attributes.set &= ~std::uint64_t{MOUNT_ATTR_RDONLY};
  plain.data = {{"mode", "755"}};
  const OwnedFd tree = new_file_system("tmpfs", "tmpfs", plain, destination);
  const OwnedFd target = make_target(root, destination, true);
  attach(tree.get(), target.get(), destination);
  for (const Hierarchy& hierarchy : hierarchies()) {
    MountOptions data = options;
    std::istringstream names(hierarchy.controllers);
    for (std::string name; std::getline(names, name, ',');) {
      const std::size_t equals = name.find('=');
      data.data.emplace_back(name.substr(0, equals),
                             equals == std::string::npos ? "" : name.substr(equals + 1));
    }
    const bool unified = hierarchy.controllers.empty();
    std::string name = unified ? "unified" : hierarchy.controllers;
    if (name.starts_with("name=")) name.erase(0, 5);
    try {
      const OwnedFd cgroup = new_file_system(unified ? "cgroup2" : "cgroup", "cgroup", data, destination);
      attach(cgroup.get(), make_target(root, destination + '/' + name, true).get(), destination);
    } catch (const std::exception& error) {
      warnings.push_back(destination + '/' + name + ": not shown: " + error.what());
    }
  }
  set_attributes(tree.get(), options.attributes, false, destination);
}

void mount_cgroup(const Mount& mount, const MountOptions& options, const std::string& root,
                  std::vector<std::string>& warnings) {
  const bool unified = ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  if (!unified && mount.type == "cgroup") return mount_cgroup_v1(options, root, mount.destination, warnings);
  const OwnedFd tree = new_file_system("cgroup2", "cgroup", options, mount.destination);
  attach(tree.get(), make_target(root, mount.destination, true).get(), mount.destination);
}

void make_mount(const Mount& mount, const std::string& root, std::vector<std::string>& warnings) {
  if (!mount.destination.starts_with('/'))
    throw Failure("mount " + printable(mount.destination) + ": not an absolute path");
  if (mount.id_mapped)
    throw Failure("mount " + printable(mount.destination) + ": id mappings are not carried out");
  const MountOptions options = parse_mount_options(mount.options);
  if (options.bind || mount.type == "bind") {
    mount_bind(mount, options, root);
  } else if (mount.type == "cgroup" || mount.type == "cgroup2") {
    mount_cgroup(mount, options, root, warnings);
  } else if (mount.type.empty()) {
    throw Failure("mount " + printable(mount.destination) + ": neither a type nor bind is given");
  } else {
    mount_new(mount, options, root);
  }
}

dev_t number_of(const Device& device) { return ::makedev(device.major, device.minor); }

mode_t type_bits(const Device& device) {
  if (device.type == "c" || device.type == "u") return S_IFCHR;
  if (device.type == "b") return S_IFBLK;
  if (device.type == "p") return S_IFIFO;
  throw Failure("device " + printable(device.path) + ": " + printable(device.type) + ": not c, b, u or p");
}

// `directory` is the one of the device's path. It is the caller's to look up, who may have many for it.
void make_device_in(const OwnedFd& directory, const Device& device, const std::string& root,
                    bool in_user_namespace) {
  const std::string name = device.path.substr(device.path.rfind('/') + 1);
  const mode_t type = type_bits(device);
  if (in_user_namespace && type != S_IFIFO) {
    make_file_in(root, device.path);
    attach(clone_of(AT_FDCWD, device.path, false, device.path).get(),
           existing_target(root, device.path).get(), device.path);
    return;
  }
  const mode_t before = ::umask(0);
  const int made =
      ::mknodat(directory.get(), name.c_str(), type | device.file_mode.value_or(0666), number_of(device));
  const int error = errno;
  ::umask(before);
  if (made < 0 && error == EEXIST) return;
  if (made < 0) fail(error, "mknod", device.path);
  check(::fchownat(directory.get(), name.c_str(), device.uid.value_or(0), device.gid.value_or(0),
                   AT_SYMLINK_NOFOLLOW),
        "chown", device.path);
}

void make_device(const Device& device, const std::string& root, bool in_user_namespace) {
  const std::size_t slash = device.path.rfind('/');
  if (slash == std::string::npos || device.path[0] != '/')
    throw Failure("device " + printable(device.path) + ": not an absolute path");
  const OwnedFd directory = directory_in(root, slash == 0 ? "/" : device.path.substr(0, slash));
  make_device_in(directory, device, root, in_user_namespace);
}

void make_link(const Link& link, const OwnedFd& dev) {
  if (::symlinkat(link.target, dev.get(), link.name) < 0 && errno != EEXIST)
    fail(errno, "symlink", std::string("/dev/") + link.name);
}

bool binds_dev(const Config& config) {
  return std::ranges::any_of(config.mounts, [](const Mount& mount) {
    return mount.destination == "/dev" && (mount.type == "bind" || parse_mount_options(mount.options).bind);
  });
}

bool mounts(const Config& config, std::string_view destination) {
  return std::ranges::find(config.mounts, destination, &Mount::destination) != config.mounts.end();
}

void furnish_dev(const Config& config, const std::string& root, bool in_user_namespace) {
  // Looked up once: a dozen times the same walk was a fifth of the system calls of a whole container.
  const OwnedFd dev = directory_in(root, "/dev");
  for (const Standard& standard : standard_devices) {
    make_device_in(dev, {"c", standard.path, standard.major, standard.minor, 0666, 0, 0}, root,
                   in_user_namespace);
  }
  for (const Link& link : standard_links) make_link(link, dev);
  if (!mounts(config, "/dev/pts")) return;
  // An image may have a device there, which would be another instance's.
  ::unlinkat(dev.get(), "ptmx", 0);
  make_link({"pts/ptmx", "ptmx"}, dev);
}

// Nothing only when nothing is there that could be hidden or written: whatever else stops the look leaves
// what shall be guarded unguarded.
OwnedFd guarded_path(const std::string& root, const std::string& path, const char* key) {
  OwnedFd target = look_up_in(root, path);
  if (!target && errno != ENOENT && errno != ENOTDIR) fail(errno, key, path);
  return target;
}

void mask(const std::string& root, const std::string& path) {
  const OwnedFd target = guarded_path(root, path, "linux.maskedPaths");
  if (!target) return;
  struct stat status {};
  check(::fstat(target.get(), &status), "fstat", path);
  OwnedFd cover;
  if (S_ISDIR(status.st_mode)) {
    MountOptions options;
    options.attributes.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    options.data = {{"nr_inodes", "1"}};
    cover = new_file_system("tmpfs", "tmpfs", options, path);
  } else {
    // The host's: an image can have put something else at its own.
    cover = clone_of(AT_FDCWD, "/dev/null", false, "/dev/null");
    set_attributes(cover.get(), {MOUNT_ATTR_RDONLY, 0}, false, path);
  }
  attach(cover.get(), target.get(), path);
}

void make_readonly(const std::string& root, const std::string& path) {
  const OwnedFd target = guarded_path(root, path, "linux.readonlyPaths");
  if (!target) return;
  const OwnedFd tree = clone_of(target.get(), "", true, path);
  set_attributes(tree.get(), {MOUNT_ATTR_RDONLY, 0}, true, path);
  attach(tree.get(), target.get(), path);
}

// The mount that `path` lies on must not be shared: pivot_root(2) refuses such a parent, and what is mounted
// on it appears at all its peers, of which the host's is one.
void make_holder_private(const std::string& path) {
  std::string holder = path;
  while (::mount(nullptr, holder.c_str(), nullptr, MS_PRIVATE, nullptr) < 0) {
    // EINVAL: no mount point; the one above holds it then.
    if (errno != EINVAL || holder == "/") fail(errno, "mount", holder);
    holder.erase(std::max<std::size_t>(holder.rfind('/'), 1));
  }
}

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// The namespace that a kernel parameter belongs to; empty for one of the whole machine.
std::string_view namespace_of(std::string_view name) {
  if (name.starts_with("net.")) return "network";
  if (starts_with_any(name, {"kernel.msg", "kernel.shm", "fs.mqueue."}) || name == "kernel.sem") return "ipc";
  if (name == "kernel.hostname" || name == "kernel.domainname") return "uts";
  return {};
}

}  // namespace

bool has_new(const Config& config, std::string_view type) {
  return std::ranges::any_of(config.linux_.namespaces,
                             [&](const Namespace& each) { return each.type == type && each.path.empty(); });
}

void begin_mounts(const std::string& root, const std::string& propagation) {
  const auto [flag, recursive] = parse_propagation(propagation.empty() ? "rslave" : propagation);
  if (flag == 0) throw Failure("linux.rootfsPropagation: " + printable(propagation) + ": unknown");
  check(::mount(nullptr, "/", nullptr, flag | (recursive ? std::uint64_t{MS_REC} : 0), nullptr), "mount",
        "/");
  make_holder_private(root);
  // pivot_root(2) wants a mount point, and neither it nor its parent shared.
  check(::mount(root.c_str(), root.c_str(), nullptr, MS_BIND | MS_REC, nullptr), "mount", root);
  check(::mount(nullptr, root.c_str(), nullptr, MS_PRIVATE | MS_REC, nullptr), "mount", root);
}

void make_mounts(const Config& config, const std::string& root, bool in_user_namespace,
                 std::vector<std::string>& warnings) {
  for (const Mount& mount : config.mounts) make_mount(mount, root, warnings);
  if (!binds_dev(config)) furnish_dev(config, root, in_user_namespace);
  for (const Device& device : config.linux_.devices) make_device(device, root, in_user_namespace);
  if (config.process && !look_up_in(root, config.process->cwd)) directory_in(root, config.process->cwd);
}

void show_console(const std::string& root, const std::string& terminal) {
  make_file_in(root, "/dev/console");
  const OwnedFd source = existing_target(root, terminal);
  attach(clone_of(source.get(), "", false, terminal).get(), existing_target(root, "/dev/console").get(),
         "/dev/console");
}

void protect_paths(const Config& config, const std::string& root) {
  for (const std::string& path : config.linux_.readonly_paths) make_readonly(root, path);
  for (const std::string& path : config.linux_.masked_paths) mask(root, path);
  if (!config.root.readonly) return;
  const OwnedFd tree(check(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open", root));
  set_attributes(tree.get(), {MOUNT_ATTR_RDONLY, 0}, false, root);
}

void enter_root(const std::string& root, bool no_pivot) {
  check(::chdir(root.c_str()), "chdir", root);
  if (no_pivot) {
    // A root moved on top of a shared / would come to lie on the host's.
    check(::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr), "mount", "the host's root");
    check(::mount(".", "/", nullptr, MS_MOVE, nullptr), "mount", root);
    check(::chroot("."), "chroot", root);
  } else {
    // The old root comes to lie on top of the new one, and is let go of there.
    check(static_cast<int>(::syscall(SYS_pivot_root, ".", ".")), "pivot_root", root);
    // With rootfsPropagation shared its mounts are still peers of the host's, which would be unmounted, too.
    check(::mount(nullptr, ".", nullptr, MS_SLAVE | MS_REC, nullptr), "mount", "the host's root");
    check(::umount2(".", MNT_DETACH), "umount", "the host's root");
  }
  check(::chdir("/"), "chdir", "/");
}

void set_sysctls(const Config& config) {
  for (const auto& [name, value] : config.linux_.sysctl) {
    std::string dotted = name;
    // Both spellings are in use; a name with both keeps its dots, as sysctl(8) has it.
    if (dotted.find('/') != std::string::npos && dotted.find('.') == std::string::npos)
      std::ranges::replace(dotted, '/', '.');
    const std::string_view owner = namespace_of(dotted);
    if (owner.empty() || dotted.find("..") != std::string::npos || dotted.find('/') != std::string::npos)
      throw Failure("linux.sysctl: " + printable(name) + ": not a parameter of a namespace");
    if (!has_new(config, owner))
      throw Failure("linux.sysctl: " + printable(name) + ": it is the host's, without a new " +
                    std::string(owner) + " namespace");
    std::string path = "/proc/sys/" + dotted;
    std::ranges::replace(path, '.', '/');
    const OwnedFd file(check(::open(path.c_str(), O_WRONLY | O_CLOEXEC), "linux.sysctl", name));
    write_all(file.get(), value, name);
  }
}

}  // namespace fdchain::oci
