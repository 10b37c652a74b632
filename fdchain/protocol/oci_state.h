// state.json: what one call of the runtime leaves for the next, and what `state` tells.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "fdchain/model/oci_config.h"

namespace fdchain::oci {

/// What has become of a container.
enum class Status { creating, created, running, stopped };

std::string_view to_string(Status status);

/// A container as the file has it. A pid alone names nobody: it is the container's for as long as the process
/// of that number was started at `start_time`.
struct State {
  std::string id;
  pid_t pid = 0;
  std::uint64_t start_time = 0;  ///< of that process, in clock ticks since boot: field 22 of /proc/PID/stat
  std::string bundle;
  std::string rootfs;
  std::string created;  ///< RFC 3339, in UTC
  std::string owner;
  std::map<std::string, std::string> annotations;

  friend bool operator==(const State&, const State&) = default;
};

/// The file's text.
std::string encode(const State& state);

/// Throws Failure, naming `file`, for a text that encode() has not written.
State decode_state(std::string_view text, std::string_view file);

/// What the specification wants `state` to print, and hooks to be given: with a pid only while there is a
/// process.
std::string describe(const State& state, Status status, bool indented);

/// What is wrong with the id of a container, or nothing: it names a directory, and must not lead elsewhere.
std::string_view problem_of_id(std::string_view id);

}  // namespace fdchain::oci
