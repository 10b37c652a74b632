// What a run of the campaign consists of, drawn from a seed and a number alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/listen_spec.h"
#include "fdchain/plan/edits/fault.h"

namespace fdchain::campaign {

/// How many mistakes a run has in it, or that a program stands in a hop's place.
enum class Level { healthy, single, twice, wrapped };

/// A shell script in a hop's place, which becomes the hop or starts it.
struct Wrapper {
  Hop place = Hop::monitor;
  bool forks = false;
  std::string mistake;  ///< its line; `:` for none
  std::string finding;  ///< empty for none
};

/// The name of its file.
inline constexpr std::string_view wrapper_name = "wrapper";

/// What the payload does, where a fault needs more of it than to end.
enum class Payload {
  reports,         ///< ours; tells what it has, in the trace too
  stranger,        ///< somebody else's, which tells nothing
  missing,         ///< there is no such program
  leaves_orphans,  ///< ends while a child of it lives on
  waits,           ///< until a signal
};

/// One run, ready to be started.
struct Run {
  std::uint64_t number = 0;
  Level level = Level::healthy;
  std::vector<ListenSpec> inherited;  ///< opened by the campaign, as an activator
  std::vector<ListenSpec> opened;     ///< by the launcher, with --listen
  bool inherited_names = false;       ///< LISTEN_FDNAMES is set
  int strays = 0;                     ///< descriptors that nobody announced, some numbers above
  int preserved = 0;
  std::vector<int> closed_stdio;
  std::string sdnotify;   ///< empty: NOTIFY_SOCKET is not set
  bool watchdog = false;  ///< a unit with a watchdog: WATCHDOG_PID names the launcher
  Payload payload = Payload::reports;
  std::vector<FaultRequest> faults;
  std::optional<Wrapper> wrapper;

  [[nodiscard]] int sockets() const { return static_cast<int>(inherited.size() + opened.size()); }
};

/// The run of this number. `attempt` counts the draws whose fault had nothing to work on. Paths are made in
/// `directory`.
Run draw(std::uint64_t seed, std::uint64_t number, Level level, unsigned attempt,
         const std::string& directory);

/// A finding that the run must have.
struct Expected {
  std::string id;
  Hop culprit = Hop::launcher;
  std::string wrapper = {};  ///< the program in its place that did it; empty for the hop itself
  friend bool operator==(const Expected&, const Expected&) = default;
};

std::vector<Expected> expectations(const Run& run);

}  // namespace fdchain::campaign
