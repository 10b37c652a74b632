// The environment protocol of sd_listen_fds(3), as values: what the variables say, and what is wrong with
// them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fdchain/model/environment.h"

namespace fdchain {

/// The number of the first passed socket: SD_LISTEN_FDS_START.
inline constexpr int listen_fds_start = 3;

inline constexpr std::string_view listen_pid_name = "LISTEN_PID";
inline constexpr std::string_view listen_pidfdid_name = "LISTEN_PIDFDID";
inline constexpr std::string_view listen_fds_name = "LISTEN_FDS";
inline constexpr std::string_view listen_fdnames_name = "LISTEN_FDNAMES";

/// What a socket without a name is called, by sd_listen_fds_with_names(3).
inline constexpr std::string_view unnamed_socket = "unknown";

/// Who a process is, as far as LISTEN_PID and LISTEN_PIDFDID can say it.
struct Self {
  pid_t pid = 0;
  std::optional<std::uint64_t> pidfdid;  ///< inode number of its pidfd; nothing before Linux 6.9
};

/// The announcement of n sockets at 3 … n+2, read and found valid.
struct ListenEnv {
  int count = 0;
  std::optional<std::string> fdnames;  ///< LISTEN_FDNAMES as it came: `count` names with colons between them
  bool has_pidfdid = false;            ///< LISTEN_PIDFDID was set too

  /// One past the last announced number.
  [[nodiscard]] int end() const { return listen_fds_start + count; }

  friend bool operator==(const ListenEnv&, const ListenEnv&) = default;
};

/// Why there are no sockets for this process.
struct ListenProblem {
  enum class Kind {
    absent,       ///< nothing is announced at all
    ignored,      ///< announced to another process or to none, or by half of the variables
    malformed,    ///< a variable does not say what it has to say
    names_count,  ///< LISTEN_FDNAMES does not name as many sockets as LISTEN_FDS counts
  };
  Kind kind = Kind::absent;
  int result = 0;    ///< what sd_listen_fds_with_names(3) returns for it: 0 or a negative errno
  int count = 0;     ///< of LISTEN_FDS, when only the names are wrong
  std::string text;  ///< `LISTEN_FDS=2x: not a count of descriptors`, safe to print

  friend bool operator==(const ListenProblem&, const ListenProblem&) = default;
};

/// Reads LISTEN_* for the process `self`, by the rules and in the order of sd_listen_fds_with_names(3).
///
/// Says nothing about the descriptors themselves: whether they are open is for whoever can look.
std::variant<ListenEnv, ListenProblem> parse_listen_env(const Environment& environment, const Self& self);

/// Splits LISTEN_FDNAMES: `a::b` are three names, an empty text is one empty name.
std::vector<std::string> split_fdnames(std::string_view text);

/// The text of LISTEN_FDNAMES for these names.
std::string join_fdnames(const std::vector<std::string>& names);

/// Announces `count` sockets to the process that will have this environment, or takes every LISTEN_* away
/// when there are none. LISTEN_PID and LISTEN_PIDFDID are not for this function: only the child knows them.
void announce(Environment& environment, int count, const std::optional<std::string>& fdnames);

/// Takes LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS and LISTEN_FDNAMES away.
void unset_listen_env(Environment& environment);

}  // namespace fdchain
