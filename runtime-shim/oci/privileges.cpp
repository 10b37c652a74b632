#include "runtime-shim/oci/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <set>

#include "fdchain/model/capability.h"
#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain::oci {
namespace {

struct LimitName {
  std::string_view name;
  int resource;
};
constexpr std::array limit_names{
    LimitName{"RLIMIT_AS", RLIMIT_AS},
    LimitName{"RLIMIT_CORE", RLIMIT_CORE},
    LimitName{"RLIMIT_CPU", RLIMIT_CPU},
    LimitName{"RLIMIT_DATA", RLIMIT_DATA},
    LimitName{"RLIMIT_FSIZE", RLIMIT_FSIZE},
    LimitName{"RLIMIT_LOCKS", RLIMIT_LOCKS},
    LimitName{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    LimitName{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    LimitName{"RLIMIT_NICE", RLIMIT_NICE},
    LimitName{"RLIMIT_NOFILE", RLIMIT_NOFILE},
    LimitName{"RLIMIT_NPROC", RLIMIT_NPROC},
    LimitName{"RLIMIT_RSS", RLIMIT_RSS},
    LimitName{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    LimitName{"RLIMIT_RTTIME", RLIMIT_RTTIME},
    LimitName{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    LimitName{"RLIMIT_STACK", RLIMIT_STACK},
};

int resource_of(const Rlimit& limit) {
  for (const LimitName& each : limit_names) {
    if (each.name == limit.type) return each.resource;
  }
  throw Failure("process.rlimits: " + printable(limit.type) + ": no such limit");
}

// A name that is none adds nothing: that is warned of before.
std::uint64_t mask_of(const std::vector<std::string>& names) {
  std::uint64_t mask = 0;
  for (const std::string& name : names) mask |= capability_bit(name).value_or(0);
  return mask;
}

template <typename Visit>
void for_each_capability(Visit visit) {
  for (unsigned number = 0; number < 64; ++number) {
    // The kernel knows which was the last that it has.
    if (::prctl(PR_CAPBSET_READ, number, 0, 0, 0) < 0) return;
    visit(number, std::uint64_t{1} << number);
  }
}

void drop_bounding(std::uint64_t kept) {
  for_each_capability([&](unsigned number, std::uint64_t bit) {
    if ((kept & bit) != 0 || ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 0) return;
    check(::prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "process.capabilities: bounding");
  });
}

__user_cap_data_struct half(std::uint64_t effective, std::uint64_t permitted, std::uint64_t inheritable,
                            int shift) {
  return {static_cast<__u32>(effective >> shift), static_cast<__u32>(permitted >> shift),
          static_cast<__u32>(inheritable >> shift)};
}

void set_capabilities(const Capabilities& sets) {
  const std::uint64_t effective = mask_of(sets.effective);
  const std::uint64_t permitted = mask_of(sets.permitted);
  const std::uint64_t inheritable = mask_of(sets.inheritable);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array data{half(effective, permitted, inheritable, 0),
                        half(effective, permitted, inheritable, 32)};
  check(static_cast<int>(::syscall(SYS_capset, &header, data.data())), "process.capabilities");
  const std::uint64_t ambient = mask_of(sets.ambient);
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for_each_capability([&](unsigned number, std::uint64_t bit) {
    // What is not permitted and inheritable cannot be ambient; crun and runc pass over it, too.
    if ((ambient & bit) != 0) ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0);
  });
}

void change_groups(const User& user) {
  const auto& groups = user.additional_gids;
  if (::setgroups(groups.size(), groups.data()) == 0) return;
  // In a user namespace of an ordinary user the kernel allows nobody to give groups up.
  if (errno == EPERM && groups.empty()) return;
  fail(errno, "setgroups", "process.user.additionalGids");
}

}  // namespace

void check_privileges(const Process& process) {
  for (const Rlimit& limit : process.rlimits) {
    (void)resource_of(limit);
    if (limit.soft > limit.hard)
      throw Failure("process.rlimits: " + printable(limit.type) + ": the soft limit is above the hard one");
  }
}

std::vector<std::string> unknown_capabilities(const Process& process) {
  std::set<std::string> unknown;
  if (!process.capabilities) return {};
  const Capabilities& sets = *process.capabilities;
  for (const auto* const set :
       {&sets.bounding, &sets.effective, &sets.inheritable, &sets.permitted, &sets.ambient}) {
    for (const std::string& name : *set) {
      if (!capability_bit(name)) unknown.insert(printable(name));
    }
  }
  return {unknown.begin(), unknown.end()};
}

Groups wanted_groups(const std::map<std::string, std::string>& annotations) {
  const auto found = annotations.find("run.oci.keep_original_groups");
  return found == annotations.end() || found->second == "0" ? Groups::as_configured : Groups::of_caller;
}

void raise_hard_limits(pid_t pid, const Process& process) {
  for (const Rlimit& limit : process.rlimits) {
    const auto resource = static_cast<__rlimit_resource>(resource_of(limit));
    rlimit now{};
    check(::prlimit(pid, resource, nullptr, &now), "prlimit", limit.type);
    if (limit.hard <= now.rlim_max) continue;
    now.rlim_max = limit.hard;
    check(::prlimit(pid, resource, &now, nullptr), "process.rlimits: raise", limit.type);
  }
}

void set_limits(const Process& process) {
  for (const Rlimit& limit : process.rlimits) {
    const rlimit wanted{limit.soft, limit.hard};
    const auto resource = static_cast<__rlimit_resource>(resource_of(limit));
    check(::setrlimit(resource, &wanted), "process.rlimits", limit.type);
  }
}

void give_stdio_to(const User& user) {
  for (int fd = 0; fd <= 2; ++fd) {
    struct stat status {};
    if (::fstat(fd, &status) < 0 || status.st_uid == user.uid) continue;
    // /dev/null, /dev/zero and their like are everybody's already; and the host's, where they were opened
    // there.
    constexpr unsigned memory_devices = 1;
    if (S_ISCHR(status.st_mode) && major(status.st_rdev) == memory_devices) continue;
    (void)!::fchown(fd, user.uid, static_cast<gid_t>(-1));
  }
}

void take_privileges(const Process& process, Groups groups) {
  const User& user = process.user;
  // A process of which nothing is said may do nothing: none of the caller's, who is root.
  const Capabilities capabilities = process.capabilities.value_or(Capabilities{});
  drop_bounding(mask_of(capabilities.bounding));
  // What a change from root would take away is needed once more, for capset(2).
  check(::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl");
  if (groups == Groups::as_configured) change_groups(user);
  check(::setresgid(user.gid, user.gid, user.gid), "setresgid", "process.user.gid");
  check(::setresuid(user.uid, user.uid, user.uid), "setresuid", "process.user.uid");
  set_capabilities(capabilities);
  check(::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0), "prctl");
  if (process.no_new_privileges) check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "process.noNewPrivileges");
}

}  // namespace fdchain::oci
