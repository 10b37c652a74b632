#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace fdchain::oci {

/// One line of /etc/passwd.
struct PasswdEntry {
  std::string name;
  std::string home;
};

/// The user's line in the text of such a file: the first that has the number.
std::optional<PasswdEntry> find_user(const std::string& passwd, uid_t uid);

/// The user's line in /etc/passwd of this process's root, or nothing: without NSS, since the file of an image
/// is all that a container has, and since it may be anything.
std::optional<PasswdEntry> look_up_user(uid_t uid);

}  // namespace fdchain::oci
