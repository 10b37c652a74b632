// A process's descriptor table as values: what it held at one moment, comparable across processes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fdchain {

/// What only a socket has.
struct SocketRow {
  int family = 0;            ///< AF_…
  int type = 0;              ///< SOCK_…
  bool listening = false;    ///< SO_ACCEPTCONN
  std::uint64_t cookie = 0;  ///< SO_COOKIE: unique for as long as the machine runs; 0 when not known
  std::string local;         ///< `127.0.0.1:8080`, `/run/x.sock`, `@name`; empty when it has none
  std::string peer;
  std::optional<int> waiting = {};  ///< clients that nobody has accepted; where it was asked
  friend bool operator==(const SocketRow&, const SocketRow&) = default;
};

/// One row of a descriptor table.
///
/// Two rows are the same object exactly when device and inode agree; numbers say nothing across hops, that
/// being the point of the program.
struct FdRow {
  int number = -1;
  std::string type;  ///< as lsfd(1) names it: REG, DIR, CHR, BLK, FIFO, LINK, anon_inode's own, or TCP, UDP,
                     ///< UNIX-STREAM, …
  std::string mode;  ///< as lsfd(1) shows it: `rw`, `r-`, `-w`, `--` for O_PATH
  bool close_on_exec = false;  ///< of this number; never shared
  bool non_blocking = false;   ///< of the open file description; shared with every holder
  dev_t device = 0;
  ino_t inode = 0;
  std::string name;  ///< as lsfd(1) shows it, for people: a path, or `state=listen laddr=127.0.0.1:8080`
  std::optional<SocketRow> socket;
  std::string error;  ///< why more could not be found out: `EACCES`; empty when nothing was refused
  std::optional<int>
      same_as;  ///< the observer's own descriptor with the same open file description, by kcmp(2)

  /// The same open object, whatever its number. Every eventfd has the same inode, and so has every epoll: of
  /// those it says only that they are of one kind. Where a look was refused, the type is not known either.
  [[nodiscard]] bool same_object(const FdRow& other) const {
    const bool refused = !error.empty() || !other.error.empty();
    return device == other.device && inode == other.inode && (refused || type == other.type);
  }

  /// Whether device and inode name one open object: a socket, a pipe. A file or a device can be open many
  /// times over, by people who know nothing of each other.
  [[nodiscard]] bool is_unique() const { return socket.has_value() || type == "FIFO" || !error.empty(); }

  friend bool operator==(const FdRow&, const FdRow&) = default;
};

/// The rows in ascending order of their numbers.
using FdTable = std::vector<FdRow>;

}  // namespace fdchain
