// The texts of /proc/PID, as values. A process chooses its own name, and may choose one that looks like the
// text around it: nothing here is found anywhere but at its place.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fdchain::proc {

/// What stands behind `key` at the start of a line, blanks trimmed: `value_of(status, "PPid:")`. Nothing when
/// no line begins so.
std::optional<std::string_view> value_of(std::string_view text, std::string_view key);

/// The strings of cmdline or environ: each is ended by a zero byte, the last one at least by the end.
std::vector<std::string_view> split_strings(std::string_view text);

/// Signals, bit n-1 for signal n.
struct Masks {
  std::uint64_t blocked = 0;
  std::uint64_t ignored = 0;
  std::uint64_t caught = 0;
  friend bool operator==(const Masks&, const Masks&) = default;
};

/// /proc/PID/status.
struct Status {
  pid_t parent = 0;
  pid_t pid_in_namespace = 0;  ///< as the process sees itself
  Masks masks;
  friend bool operator==(const Status&, const Status&) = default;
};

/// Nothing when a line is missing or says no number: then it is no status.
std::optional<Status> parse_status(std::string_view text);

/// /proc/PID/stat.
struct Stat {
  std::string command;  ///< at most 15 bytes, of whatever kind
  char state = '?';     ///< R, S, D, Z, …
  pid_t parent = 0;
  bool has_executed = false;     ///< since it was forked
  std::uint64_t start_time = 0;  ///< in ticks since boot; exec does not change it
  std::uint64_t environment_start = 0;
  std::uint64_t environment_end = 0;
  friend bool operator==(const Stat&, const Stat&) = default;
};

/// Nothing when it is no stat.
std::optional<Stat> parse_stat(std::string_view text);

/// RLIMIT_NOFILE of /proc/PID/limits.
struct Nofile {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  friend bool operator==(const Nofile&, const Nofile&) = default;
};

std::optional<Nofile> parse_nofile(std::string_view limits);

}  // namespace fdchain::proc
