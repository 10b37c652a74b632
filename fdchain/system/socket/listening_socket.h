#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fdchain/model/listen_spec.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fs/made_directories.h"

namespace fdchain {

/// A name in the system that was made for a run and goes with it: a socket's path, a FIFO, a message queue.
///
/// Removed only while it is still the very thing that was made: somebody may have put another in its place,
/// which a file system may have given the number that has just become free.
class MadeName {
 public:
  enum class Kind { path, message_queue };

  /// Takes note of what stands under `name` now.
  MadeName(Kind kind, std::string name);

  /// What stood there when another process took note of it, by its to_words(). Nothing when the text is none.
  static MadeName known(Kind kind, std::string_view words);

  MadeName(MadeName&& other) noexcept;
  MadeName& operator=(MadeName&&) = delete;
  MadeName(const MadeName&) = delete;
  MadeName& operator=(const MadeName&) = delete;
  ~MadeName() { remove(); }

  /// Removes it now; does nothing when it is gone or replaced. False with errno when that failed.
  bool remove() noexcept;

  /// Leaves it to another process to remove it.
  void release() noexcept { name_.clear(); }

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// What is noted, for another process that shall remove it: device, inode, time of birth and name.
  [[nodiscard]] std::string to_words() const;

 private:
  struct Identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t birth = 0;  ///< in nanoseconds; 0 where the file system does not know
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  MadeName(Kind kind, std::string name, Identity identity)
      : kind_(kind), name_(std::move(name)), identity_(identity) {}
  [[nodiscard]] std::optional<Identity> look() const;

  Kind kind_;
  std::string name_;
  Identity identity_;
};

/// The names in the system that opening `spec` may make: its path or queue, and links to it.
std::vector<std::pair<MadeName::Kind, std::string>> names_made_for(const ListenSpec& spec);

/// A socket, FIFO, queue or special file, opened as an activator would, close-on-exec and blocking.
struct Opened {
  OwnedFd fd;
  MadeDirectories directories;  ///< above the path; gone after what was made in them
  std::vector<MadeName> made;
  std::vector<std::string> remarks;  ///< sentences on what is not quite as it was asked for
};

/// Opens what `spec` asks for. Throws Failure: `--listen tcp:80: bind: Address already in use`.
///
/// A unix socket path that exists is replaced only when it is a socket that nobody listens on any more. The
/// directories above a path are made where they are missing; whoever wants them to stay, as with systemd,
/// says so.
Opened open_listening(const ListenSpec& spec);

/// `spec` with the port that the kernel chose for it, where it was to choose one.
ListenSpec as_bound(const ListenSpec& spec, const OwnedFd& fd);

}  // namespace fdchain
