// Where containers are remembered between two calls of the runtime: a directory each, named by the id.
//
//   ROOT/ID/state.json    written when the container is ready; until then it is being made
//   ROOT/ID/config.json   what it was made from, for exec and the hooks that come later
//   ROOT/ID/exec.fifo     there until `start` takes it away; the container's process waits on it
//
// The directory is made by mkdir(2), which of two callers succeeds for one. Whoever changes something holds
// flock(2) on it; a directory without state.json that nobody holds was left by a creator that died.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fdchain/protocol/oci_cli.h"
#include "fdchain/protocol/oci_state.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::oci {

/// The directory of all containers: --root, or one that depends on nothing but who we are.
std::string state_root(const Command& command);

/// A container's directory, open.
class Entry {
 public:
  /// Makes the directory and holds it. Throws Failure when the container exists.
  static Entry make(const std::string& root, const std::string& id);

  /// The directory of a container that exists; nothing when there is none. Throws Failure for an id that can
  /// be none.
  static std::optional<Entry> find(const std::string& root, const std::string& id);

  /// The same. Throws Failure when there is none.
  static Entry at(const std::string& root, const std::string& id);

  /// Waits until nobody else changes the container, and holds it. False when it has been deleted meanwhile;
  /// what is at its path then, if anything, is another of the same id.
  [[nodiscard]] bool lock() const;

  /// Lets others change it.
  void unlock() const;

  [[nodiscard]] const std::string& id() const { return id_; }
  /// For messages. What is done is done by way of the open directory: `file`.
  [[nodiscard]] std::string path(const std::string& name) const { return directory_path_ + '/' + name; }
  [[nodiscard]] std::string fifo() const { return file("exec.fifo"); }

  void write(const std::string& name, std::string_view content) const;
  [[nodiscard]] std::string read(const std::string& name) const;

  /// Nothing while the container is being made, or was never finished.
  [[nodiscard]] std::optional<State> state() const;

  /// Removes the directory with what this runtime has written into it. False when something else is there:
  /// that stays, and the directory, too.
  bool remove() const;

 private:
  Entry(std::string id, std::string path, OwnedFd directory)
      : id_(std::move(id)), directory_path_(std::move(path)), directory_(std::move(directory)) {}

  // Of this very directory, whatever is at its path now.
  [[nodiscard]] std::string file(const std::string& name) const {
    return "/proc/self/fd/" + std::to_string(directory_.get()) + '/' + name;
  }

  std::string id_;
  std::string directory_path_;
  OwnedFd directory_;
};

/// Throws Failure for an id that no container can have.
void check_id(const std::string& id);

/// The ids of all containers, sorted; none where there is no directory. Throws Failure when it cannot be
/// read.
std::vector<std::string> all_ids(const std::string& root);

/// When the process was started, in clock ticks since boot; nothing when there is none, or it has ended and
/// is only not reaped yet.
std::optional<std::uint64_t> start_time_of(pid_t pid);

/// What has become of the container. A process that has taken over the number of one that ended is not taken
/// for it.
Status status_of(const Entry& entry, const State& state);

/// Reads a file of somebody else's, a regular one of at most `most` bytes. Throws, naming `subject`.
std::string read_small_file(const std::string& path, std::size_t most, const std::string& subject);

}  // namespace fdchain::oci
