#include "runtime-shim/oci/mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/plan/bundle_paths.h"
#include "fdchain/plan/mount_options.h"
#include "fdchain/plan/mount_place.h"
#include "fdchain/plan/sysctl.h"
#include "fdchain/protocol/mountinfo.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "fdchain/system/fs/rootfs.h"
#include "fdchain/system/proc/process_info.h"
#include "runtime-shim/oci/copy_up.h"
#include "runtime-shim/oci/mount_calls.h"

namespace fdchain::oci {
namespace {

std::string of_this_process(const std::string& name) {
  const auto self = proc::Process::self();
  const auto text = self ? self->text(name) : std::nullopt;
  if (!text) fail(errno, "read", "/proc/self/" + name);
  return *text;
}

bool is_proc(const OwnedFd& tree, const std::string& subject) {
  struct statfs status {};
  check(::fstatfs(tree.get(), &status), "fstatfs", subject);
  return status.f_type == PROC_SUPER_MAGIC;
}

// Where a descriptor of something in the root is, seen from there.
std::string path_of(const OwnedFd& fd, const RootDirectory& root) {
  const std::string path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd.get()));
  if (path == root.path) return "/";
  if (!path.starts_with(root.path + '/'))
    throw Failure("mount " + printable(path) + ": outside of the container's root");
  return path.substr(root.path.size());
}

// Refuses the place, or remembers what is there now. By the descriptor: a link of the image may have led
// there.
void accept_place(const OwnedFd& target, RootInMaking& root, const Mount& mount, std::string_view type,
                  bool shows_proc) {
  const std::string place = path_of(target, root.directory);
  const std::string_view refusal = mount_place_refusal(place, type, shows_proc);
  if (!refusal.empty()) throw Failure("mount " + printable(mount.destination) + ": " + std::string(refusal));
  root.has_pts |= place == "/dev/pts";
}

// For /proc and /sys: a symbolic link of the image there would move what the masks are meant for.
OwnedFd directory_without_links(const RootDirectory& root, const std::string& path) {
  (void)directory_in(root, path);
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | O_DIRECTORY;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  OwnedFd target(static_cast<int>(::syscall(SYS_openat2, root.fd.get(), path.c_str(), &how, sizeof how)));
  if (!target) throw Failure("mount " + printable(path) + ": not a plain directory of the root file system");
  return target;
}

void mount_bind(const Mount& mount, const MountOptions& options, RootInMaking& root) {
  for (const auto& [key, value] : options.data) {
    throw Failure("mount " + printable(mount.destination) + ": " + printable(key) + ": unknown option");
  }
  // An empty path would be the working directory.
  if (mount.source.empty())
    throw Failure("mount " + printable(mount.destination) + ": a bind mount without a source");
  const OwnedFd tree = clone_of(AT_FDCWD, mount.source, options.recursive, mount.source);
  set_attributes(tree.get(), options.attributes, false, mount.destination);
  set_attributes(tree.get(), options.everywhere, true, mount.destination);
  const bool directory = S_ISDIR(stat_of(tree, mount.source).st_mode);
  const OwnedFd target = directory ? directory_in(root.directory, mount.destination)
                                   : file_in(root.directory, mount.destination);
  accept_place(target, root, mount, "bind", is_proc(tree, mount.source));
  attach(tree.get(), target.get(), mount.destination);
  root.mounts[mount_of(tree.get())] = directory;
  const bool said = options.propagation != 0;
  set_propagation(tree.get(), said ? options.propagation : std::uint64_t{MS_PRIVATE},
                  !said || options.propagation_recursive, mount.destination);
}

void mount_new(const Mount& mount, const MountOptions& options, RootInMaking& root) {
  const bool guarded_place = mount.type == "proc" || mount.type == "sysfs";
  const OwnedFd target = guarded_place ? directory_without_links(root.directory, mount.destination)
                                       : directory_in(root.directory, mount.destination);
  accept_place(target, root, mount, mount.type, mount.type == "proc");
  MountOptions first = options;
  // Filled before it is made read-only. A new proc or sysfs can be had read-only alone where the host's is.
  const bool later = !guarded_place && (options.attributes.set & MOUNT_ATTR_RDONLY) != 0;
  if (later) first.attributes.set &= ~std::uint64_t{MOUNT_ATTR_RDONLY};
  OwnedFd tree = new_file_system(mount.type, mount.source, first, mount.destination);
  if (options.copy_up) copy_up(target.get(), tree.get(), mount.destination);
  attach(tree.get(), target.get(), mount.destination);
  root.mounts[mount_of(tree.get())] = false;
  if (options.propagation != 0)
    set_propagation(tree.get(), options.propagation, options.propagation_recursive, mount.destination);
  if (later) root.read_only_later.push_back({std::move(tree), {MOUNT_ATTR_RDONLY, 0}, mount.destination});
}

// One hierarchy of /proc/self/cgroup: `4:cpu,cpuacct:/` or `0::/`.
struct Hierarchy {
  std::string controllers;
};

std::vector<Hierarchy> hierarchies() {
  std::istringstream file(of_this_process("cgroup"));
  std::vector<Hierarchy> found;
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    found.push_back({line.substr(first + 1, second - first - 1)});
  }
  return found;
}

constexpr const char* host_cgroups = "/sys/fs/cgroup";

bool is_in_user_namespace() {
  std::istringstream map(of_this_process("uid_map"));
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t size = 0;
  constexpr std::uint64_t all_users = 4'294'967'295;
  return !(map >> inside >> outside >> size) || size != all_users;
}

// A new mount of the cgroups, or in a user namespace without a cgroup namespace, where the kernel refuses
// that, the host's.
OwnedFd cgroup_tree(const std::string& type, const std::string& of_host, const MountOptions& options,
                    const std::string& destination) try {
  return new_file_system(type, "cgroup", options, destination);
} catch (const NoFileSystem& refused) {
  if ((refused.error() != EPERM && refused.error() != EBUSY) || !is_in_user_namespace()) throw;
  OwnedFd tree = clone_of(AT_FDCWD, of_host, true, of_host);
  set_attributes(tree.get(), options.attributes, true, destination);
  return tree;
}

// On a machine with cgroup v1 hierarchies: each of them in a directory of a tmpfs, as crun and runc show
// them.
void mount_cgroup_v1(const MountOptions& options, const OwnedFd& target, const std::string& destination,
                     std::vector<std::string>& warnings) {
  MountOptions plain;
  plain.attributes = options.attributes;
  plain.attributes.set &= ~std::uint64_t{MOUNT_ATTR_RDONLY};
  plain.data = {{"mode", "755"}};
  const RootDirectory tree{destination, new_file_system("tmpfs", "tmpfs", plain, destination)};
  attach(tree.fd.get(), target.get(), destination);
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
      const OwnedFd cgroup =
          cgroup_tree(unified ? "cgroup2" : "cgroup", host_cgroups + ('/' + name), data, destination);
      attach(cgroup.get(), directory_in(tree, '/' + name).get(), destination);
    } catch (const std::exception& error) {
      warnings.push_back(destination + '/' + name + ": not shown: " + error.what());
    }
  }
  set_attributes(tree.fd.get(), options.attributes, false, destination);
}

void mount_cgroup(const Mount& mount, const MountOptions& options, RootInMaking& root,
                  std::vector<std::string>& warnings) {
  const OwnedFd target = directory_in(root.directory, mount.destination);
  accept_place(target, root, mount, mount.type, false);
  const bool unified = ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  if (!unified && mount.type == "cgroup")
    return mount_cgroup_v1(options, target, mount.destination, warnings);
  const OwnedFd tree = cgroup_tree("cgroup2", host_cgroups, options, mount.destination);
  attach(tree.get(), target.get(), mount.destination);
}

void make_mount(const Mount& mount, RootInMaking& root, std::vector<std::string>& warnings) {
  if (mount.id_mapped)
    throw Failure("mount " + printable(mount.destination) + ": id mappings are not carried out");
  const MountOptions options = parse_mount_options(mount.options);
  if (is_bind(mount)) {
    mount_bind(mount, options, root);
  } else if (mount.type == "cgroup" || mount.type == "cgroup2") {
    mount_cgroup(mount, options, root, warnings);
  } else if (mount.type.empty()) {
    throw Failure("mount " + printable(mount.destination) + ": neither a type nor bind is given");
  } else {
    mount_new(mount, options, root);
  }
}

// Whether a directory is the host's: in a mount that config.json binds, or in one that came with it. By the
// descriptor, since links of the image can lead there from anywhere.
bool is_of_host(const OwnedFd& directory, const RootInMaking& root) {
  const int mount = mount_of(directory.get());
  if (const auto known = root.mounts.find(mount); known != root.mounts.end()) return known->second;
  for (const int below : mounts_below(mount, parse_mountinfo(of_this_process("mountinfo")))) {
    if (const auto known = root.mounts.find(below); known != root.mounts.end()) return known->second;
  }
  return false;
}

// A directory to make devices in, made where it is missing. None where it would be the host's.
OwnedFd directory_for_devices(const std::string& path, const RootInMaking& root) {
  OwnedFd directory = look_up_in(root.directory, path);
  // Nothing is made on the way there either.
  for (std::string above = path; !directory; directory = look_up_in(root.directory, above)) {
    if (errno != ENOENT) fail(errno, "open", root.directory.path + path);
    above.erase(std::max<std::size_t>(above.rfind('/'), 1));
  }
  if (is_of_host(directory, root)) return {};
  directory = directory_in(root.directory, path);
  return is_of_host(directory, root) ? OwnedFd() : std::move(directory);
}

dev_t number_of(const Device& device) { return ::makedev(device.major, device.minor); }

mode_t type_bits(const Device& device) {
  if (device.type == "c" || device.type == "u") return S_IFCHR;
  if (device.type == "b") return S_IFBLK;
  if (device.type == "p") return S_IFIFO;
  throw Failure("device " + printable(device.path) + ": " + printable(device.type) + ": not c, b, u or p");
}

// The host's own, for a user namespace. It must be the one that config.json means, and not what else is at
// its name.
void bind_device(const OwnedFd& directory, const std::string& name, const Device& device) {
  const OwnedFd target = plain_file_at(directory, name, device.path);
  // What the image has in its place stays, as where devices can be made.
  if (is_symbolic_link(target)) return;
  const OwnedFd tree = clone_of(AT_FDCWD, device.path, false, device.path);
  const struct stat status = stat_of(tree, device.path);
  if ((status.st_mode & S_IFMT) != type_bits(device) || status.st_rdev != number_of(device))
    throw Failure("device " + printable(device.path) +
                  ": the host's is another, and in a user namespace none "
                  "can be made");
  attach(tree.get(), target.get(), device.path);
}

// `directory` is the one of the device's path. It is the caller's to look up, who may have many for it.
void make_device_in(const OwnedFd& directory, const Device& device, bool in_user_namespace) {
  const std::string name = device.path.substr(device.path.rfind('/') + 1);
  const mode_t type = type_bits(device);
  if (in_user_namespace && type != S_IFIFO) return bind_device(directory, name, device);
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

void make_device(const Device& device, const RootInMaking& root, bool in_user_namespace,
                 std::vector<std::string>& warnings) {
  const std::size_t slash = device.path.rfind('/');
  if (slash == std::string::npos || device.path[0] != '/')
    throw Failure("device " + printable(device.path) + ": not an absolute path");
  const OwnedFd directory = directory_for_devices(slash == 0 ? "/" : device.path.substr(0, slash), root);
  if (directory) return make_device_in(directory, device, in_user_namespace);
  if (!look_up_in(root.directory, device.path))
    warnings.push_back("device " + printable(device.path) + ": not made: its directory is the host's");
}

void make_link(const DevLink& link, const OwnedFd& dev) {
  if (::symlinkat(link.target, dev.get(), link.name) < 0 && errno != EEXIST)
    fail(errno, "symlink", std::string("/dev/") + link.name);
}

void make_standard_devices(const OwnedFd& dev, bool in_user_namespace) {
  for (const StandardDevice& standard : standard_devices) {
    const std::string path = std::string("/dev/") + standard.name;
    make_device_in(dev, {"c", path, standard.major, standard.minor, 0666, 0, 0}, in_user_namespace);
  }
}

void make_links(const OwnedFd& dev, bool has_pts) {
  for (const DevLink& link : standard_links) make_link(link, dev);
  make_link({"/proc/kcore", "core"}, dev);
  if (!has_pts) return;
  // An image may have a device there, which would be another instance's.
  ::unlinkat(dev.get(), "ptmx", 0);
  make_link({"pts/ptmx", "ptmx"}, dev);
}

// Nothing only when nothing is there that could be hidden or written: whatever else stops the look leaves
// what shall be guarded unguarded.
OwnedFd guarded_path(const RootDirectory& root, const std::string& path, const char* key) {
  OwnedFd target = look_up_in(root, path);
  if (!target && errno != ENOENT && errno != ENOTDIR) fail(errno, key, path);
  return target;
}

void mask(const RootDirectory& root, const std::string& path) {
  const OwnedFd target = guarded_path(root, path, "linux.maskedPaths");
  if (!target) return;
  OwnedFd cover;
  if (S_ISDIR(stat_of(target, path).st_mode)) {
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

void make_readonly(const RootDirectory& root, const std::string& path) {
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

}  // namespace

RootInMaking prepare_rootfs_propagation(const std::string& root, const std::string& propagation) {
  const auto [flag, recursive] = parse_propagation(propagation.empty() ? "rslave" : propagation);
  if (flag == 0) throw Failure("linux.rootfsPropagation: " + printable(propagation) + ": unknown");
  check(::mount(nullptr, "/", nullptr, flag | (recursive ? std::uint64_t{MS_REC} : 0), nullptr), "mount",
        "/");
  make_holder_private(root);
  // pivot_root(2) wants a mount point, and neither it nor its parent shared.
  const RootDirectory place = open_root(root);
  OwnedFd tree = clone_of(place.fd.get(), "", true, root);
  attach(tree.get(), place.fd.get(), root);
  set_propagation(tree.get(), MS_PRIVATE, true, root);
  RootInMaking made;
  made.mounts[mount_of(tree.get())] = false;
  made.directory = {root, std::move(tree)};
  return made;
}

void make_mounts(const Config& config, RootInMaking& root, bool in_user_namespace,
                 std::vector<std::string>& warnings) {
  for (const Mount& mount : config.mounts) make_mount(mount, root, warnings);
  // Looked up once: a dozen times the same walk was a fifth of the system calls of a whole container.
  const OwnedFd dev = directory_for_devices("/dev", root);
  if (dev) make_links(dev, root.has_pts);
  for (const Device& device : config.linux_.devices) make_device(device, root, in_user_namespace, warnings);
  // One that config.json has, too, is as it says.
  if (dev) make_standard_devices(dev, in_user_namespace);
  if (config.process) (void)directory_in(root.directory, config.process->cwd);
}

void show_console(const RootInMaking& root, int terminal) {
  const OwnedFd console = plain_file_at(directory_in(root.directory, "/dev"), "console", "/dev/console");
  // It would move the mount to where an image wants it.
  if (is_symbolic_link(console))
    throw Failure("/dev/console: a symbolic link of the image, where the terminal is to be shown");
  attach(clone_of(terminal, "", false, "the terminal").get(), console.get(), "/dev/console");
}

void protect_paths(const Config& config, const RootInMaking& root) {
  for (const ReadOnlyLater& each : root.read_only_later)
    set_attributes(each.tree.get(), each.attributes, false, each.destination);
  for (const std::string& path : config.linux_.readonly_paths) make_readonly(root.directory, path);
  for (const std::string& path : config.linux_.masked_paths) mask(root.directory, path);
  if (config.root.readonly)
    set_attributes(root.directory.fd.get(), {MOUNT_ATTR_RDONLY, 0}, false, root.directory.path);
}

void set_sysctls(const Config& config, const std::vector<std::string>& own) {
  for (const auto& [name, value] : config.linux_.sysctl) {
    const std::string path = "/proc/sys/" + sysctl_path(config, own, name);
    const OwnedFd file(check(::open(path.c_str(), O_WRONLY | O_CLOEXEC), "linux.sysctl", name));
    write_all(file.get(), value, name);
  }
}

}  // namespace fdchain::oci
