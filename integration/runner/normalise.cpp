#include "integration/runner/normalise.h"

#include <algorithm>
#include <array>
#include <map>
#include <regex>
#include <utility>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/variables.h"

namespace fdchain::test {
namespace {

// Numbers of as many digits as the names of the roles have letters.
constexpr pid_t first_role = 9001;
constexpr std::array role_names{"LNCH", "MNTR", "SHIM", "PAYL"};
constexpr pid_t somebody = first_role + static_cast<pid_t>(role_names.size());
constexpr std::string_view somebody_name = "OTHR";

/// Gives every pid its role: of the first hop that had it, since one process may be two hops.
class Roles {
 public:
  explicit Roles(const std::vector<HopRecord>& records) {
    for (const HopRecord& record : records) {
      if (is_the_next_hops(record) || record.moment == Moment::exec) continue;
      roles_.emplace(record.pid,
                     first_role + static_cast<pid_t>(record.hop) - static_cast<pid_t>(Hop::launcher));
    }
    // Who departed and never arrived, or was a wrapper: a shell between two hops.
    for (const HopRecord& record : records) roles_.emplace(record.pid, somebody);
  }

  [[nodiscard]] pid_t of(pid_t pid) const {
    const auto found = roles_.find(pid);
    return found == roles_.end() ? somebody : found->second;
  }

  // Of a variable: only what names a process of the chain is a pid for sure.
  [[nodiscard]] std::string of(const std::string& value) const {
    for (const auto& [pid, role] : roles_) {
      if (value == std::to_string(pid)) return std::to_string(role);
    }
    return value;
  }

 private:
  // A departure is measured in the child, which has the pid that the next hop will have.
  static bool is_the_next_hops(const HopRecord& record) {
    return record.moment == Moment::departure && record.hop != Hop::runtime_shim;
  }

  std::map<pid_t, pid_t> roles_;
};

/// Numbers things in the order in which they are met.
class Order {
 public:
  std::uint64_t of(std::uint64_t id) { return numbers_.emplace(id, numbers_.size() + 1).first->second; }

 private:
  std::map<std::uint64_t, std::uint64_t> numbers_;
};

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

void normalise_name(std::string& name, Order& inodes, const std::string& directory) {
  replace_all(name, directory, "/DIR");
  static const std::regex netlink("netlink:[0-9]+");  // its port is a pid, as a rule
  name = std::regex_replace(name, netlink, "netlink:PORT");
  std::smatch inode;
  static const std::regex link("^(socket|pipe):\\[([0-9]+)\\]$");
  if (std::regex_match(name, inode, link))
    name = inode[1].str() + ":[" + std::to_string(inodes.of(std::stoull(inode[2]))) + ']';
}

void normalise_row(FdRow& row, Order& inodes, const std::string& directory) {
  normalise_name(row.name, inodes, directory);
  if (!row.socket) return;
  normalise_name(row.socket->local, inodes, directory);
  normalise_name(row.socket->peer, inodes, directory);
}

}  // namespace

std::vector<HopRecord> normalise(std::vector<HopRecord> records, const std::string& directory) {
  const Roles roles(records);
  Order inodes;
  Order pidfdids;
  for (HopRecord& record : records) {
    record.pid = roles.of(record.pid);
    record.pid_in_namespace = roles.of(record.pid_in_namespace);
    record.ppid = roles.of(record.ppid);
    record.sid = roles.of(record.sid);
    if (record.pidfdid) record.pidfdid = pidfdids.of(*record.pidfdid);
    for (auto& [name, value] : record.environment) {
      replace_all(value, directory, "/DIR");
      if (name == listen_pid_name || std::ranges::find(pid_variables, name) != pid_variables.end())
        value = roles.of(value);
      if (name == listen_pidfdid_name && value != "1")
        value = std::to_string(pidfdids.of(std::stoull(value)));
    }
    for (FdRow& row : record.fds) normalise_row(row, inodes, directory);
    for (ProcessRow& child : record.children) child.pid = roles.of(child.pid);
    if (!record.contract) continue;
    for (ContractSocket& socket : record.contract->sockets) normalise_row(socket.row, inodes, directory);
    for (FdRow& row : record.contract->preserved) normalise_row(row, inodes, directory);
  }
  return records;
}

std::string name_roles(std::string report) {
  for (std::size_t i = 0; i < role_names.size(); ++i)
    replace_all(report, std::to_string(first_role + static_cast<pid_t>(i)), role_names[i]);
  replace_all(report, std::to_string(somebody), std::string(somebody_name));
  return report;
}

}  // namespace fdchain::test
