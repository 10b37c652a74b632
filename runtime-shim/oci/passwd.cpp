#include "runtime-shim/oci/passwd.h"

#include <unistd.h>

#include <sstream>

#include "fdchain/model/number.h"
#include "runtime-shim/oci/store.h"

namespace fdchain::oci {
namespace {

constexpr std::size_t largest = 4UL * 1024 * 1024;

}  // namespace

std::optional<PasswdEntry> find_user(const std::string& passwd, uid_t uid) {
  std::istringstream lines(passwd);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name;
    std::string skipped;
    std::string number;
    std::string home;
    std::getline(fields, name, ':');
    std::getline(fields, skipped, ':');
    std::getline(fields, number, ':');
    std::getline(fields, skipped, ':');
    std::getline(fields, skipped, ':');
    std::getline(fields, home, ':');
    if (parse_decimal(number, UINT32_MAX) == std::optional<std::uint64_t>(uid))
      return PasswdEntry{name, home};
  }
  return std::nullopt;
}

std::optional<PasswdEntry> look_up_user(uid_t uid) try {
  // Many a root has none. To find that out by an exception takes a quarter of a container's whole run: the
  // first that a static program throws has its unwind tables sorted.
  if (::access("/etc/passwd", F_OK) < 0) return std::nullopt;
  return find_user(read_small_file("/etc/passwd", largest, "/etc/passwd"), uid);
} catch (const std::exception&) {
  return std::nullopt;
}

}  // namespace fdchain::oci
