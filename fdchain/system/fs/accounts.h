#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace fdchain {

/// The largest number that a user or a group can have: one less than what means "leave it" to chown(2).
inline constexpr std::uint64_t largest_id = 4294967294;

/// A user of /etc/passwd.
struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;  ///< of its own group
  std::string home;
  std::string shell;
};

/// Looks in /etc/passwd, and nowhere else: a static program has no name service to ask.
std::optional<User> find_user(const std::string& name);
std::optional<User> find_user(uid_t uid);

/// The number and name of a group in /etc/group.
std::optional<gid_t> find_group(const std::string& name);
std::optional<std::string> find_group(gid_t gid);

}  // namespace fdchain
