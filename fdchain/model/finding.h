#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/hop.h"

namespace fdchain {

enum class Severity { note, warning, error, critical };

std::string_view to_string(Severity severity);
std::optional<Severity> parse_severity(std::string_view name);

/// Every id that a judge can use, in the order of the classes of bugs.
inline constexpr std::array<std::string_view, 31> finding_ids{
    "listen-pid-stale",     "listen-pidfdid-stale",
    "pid-variable-stale",   "fd-lost-cloexec",
    "fd-lost-closed",       "fd-leaked",
    "preserve-count-wrong", "fd-announced-missing",
    "fd-renumbered",        "handshake-collision",
    "fd-substituted",       "env-dropped",
    "env-leaked",           "fdnames-mismatch",
    "stdio-hole",           "fd-retained",
    "handshake-lost-error", "nonblock-changed",
    "socket-kind-wrong",    "notify-lost",
    "nofile-exceeded",      "fd-growth",
    "zombie-left",          "fd-access-denied",
    "signal-ignored",       "expectation-failed",
    "client-waiting",       "payload-lost-socket",
    "payload-forked",       "payload-daemonized",
    "payload-child-holds",
};

/// `launcher`, `monitor and payload`, `monitor, runtime-shim and payload`.
std::string list_of(std::span<const Hop> hops);

/// A breach of the contract, with its cause.
struct Finding {
  std::string id;  ///< one of finding_ids: what scripts compare
  Severity severity = Severity::error;
  Hop hop = Hop::payload;      ///< where it is seen
  std::optional<Hop> culprit;  ///< who caused it; nothing when the trace cannot tell, `evidence` says why
  bool culprit_is_wrapper = false;  ///< not the hop itself, but a program that stood in its place before it
  std::string culprit_program;      ///< its name; empty when it was not seen
  pid_t culprit_pid = 0;            ///< 0 when it was not seen
  std::optional<int> fd;            ///< the first descriptor concerned
  std::string socket;               ///< its name or address; empty when it is none of the sockets
  std::string evidence;             ///< what was seen
  std::string advice;               ///< what to change
  std::string known;  ///< of which real version it is known, `conmon 2.1`, or `--allow …`, which allows it;
                      ///< empty for what counts

  friend bool operator==(const Finding&, const Finding&) = default;
};

/// What a judge makes of a trace.
struct Diagnosis {
  std::vector<Finding> findings;     ///< earliest hop first; of a run that failed, what explains that first
  std::vector<Hop> not_seen = {};    ///< hops of this chain without a record: of them nothing can be said
  std::vector<std::string> unknown;  ///< what the trace does not tell, a sentence each

  friend bool operator==(const Diagnosis&, const Diagnosis&) = default;
};

}  // namespace fdchain
