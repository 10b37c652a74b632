// The one reader of /proc/PID: which process it is, what it has and what it was started with.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/proc/parse.h"

namespace fdchain::proc {

/// Which namespace it is: two processes are in one exactly when these are equal.
struct NamespaceId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const NamespaceId&, const NamespaceId&) = default;
};

/// One process, by its directory in /proc.
///
/// The directory is held open, and so it stays this very process: when that is gone, every look fails with
/// ESRCH, whoever has its number by then. No text is read further than `longest_text`, for a process can make
/// its own words as long as it likes.
///
/// Whatever cannot be read is nothing, or empty, with errno: ESRCH or ENOENT when the process is gone, EACCES
/// or EPERM when this one may not look.
class Process {
 public:
  static constexpr std::size_t longest_text = std::size_t{16} << 20U;

  /// Nothing with errno when there is no such process.
  static std::optional<Process> find(pid_t pid);
  static std::optional<Process> self();

  /// Its number in this pid namespace; not this process's any more when it is gone.
  [[nodiscard]] pid_t pid() const { return pid_; }

  /// Whether it has not been reaped yet: until then its number is its own.
  [[nodiscard]] bool exists() const;

  /// The whole text of a file in its directory: `cgroup`, `fdinfo/3`.
  [[nodiscard]] std::optional<std::string> text(const std::string& name) const;

  /// Where a link in its directory points: `exe`, `fd/3`. Empty with errno.
  [[nodiscard]] std::string link(const std::string& name) const;

  /// What a link in its directory leads to; nothing with errno.
  [[nodiscard]] std::optional<struct stat> look(const std::string& name) const;

  [[nodiscard]] std::optional<Stat> stat() const;
  [[nodiscard]] std::optional<Status> status() const;
  [[nodiscard]] std::optional<Nofile> nofile() const;
  [[nodiscard]] std::optional<std::vector<std::string>> command_line() const;
  [[nodiscard]] std::optional<std::vector<std::string>> environment() const;

  /// Its effective user; root where only root may look at it.
  [[nodiscard]] std::optional<uid_t> owner() const;

  /// `mnt`, `pid`, `user`, ….
  [[nodiscard]] std::optional<NamespaceId> space(const std::string& name) const;

  /// The children of all its threads, zombies included. Nothing on kernels without CONFIG_PROC_CHILDREN.
  [[nodiscard]] std::optional<std::vector<pid_t>> children() const;

  /// The numbers of its descriptors, ascending.
  [[nodiscard]] std::optional<std::vector<int>> descriptors() const;

  /// A pidfd of this very process: by number, and then it has to exist still. Empty with errno.
  [[nodiscard]] OwnedFd pidfd() const;

  /// A file in its directory, opened for reading.
  [[nodiscard]] OwnedFd open(const std::string& name, int flags = 0) const;

 private:
  Process(pid_t pid, OwnedFd directory) : pid_(pid), directory_(std::move(directory)) {}
  static std::optional<Process> open_directory(pid_t pid, const std::string& path);
  [[nodiscard]] std::optional<std::vector<int>> numbers_in(const std::string& name) const;

  pid_t pid_ = 0;
  OwnedFd directory_;
};

/// Every process that is there now.
std::vector<pid_t> all_processes();

/// The time between two execs of a process: in it, it runs one program and has one memory.
///
/// The memory tells, and not its addresses, which may be the same in the next one where they are not drawn at
/// random.
class Life {
 public:
  /// The life that the process has now. Nothing when it is gone or a zombie, when this process may not look,
  /// or, with EAGAIN, when it is just about to begin another.
  static std::optional<Life> of(const Process& process);

  /// Whether the process has still this life.
  [[nodiscard]] bool goes_on(const Process& process) const;

 private:
  Life(OwnedFd maps, std::string program, const Stat& stat)
      : maps_(std::move(maps)), program_(std::move(program)), stat_(stat) {}

  OwnedFd maps_;  // of the memory it had when they were opened; they end with it
  std::string program_;
  Stat stat_;
};

}  // namespace fdchain::proc
