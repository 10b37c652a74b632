// The vocabulary of the chain: who takes part, and when it can be looked at.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace fdchain {

/// One process image of the chain, in the order in which the sockets travel.
///
/// The activator is whoever opened the sockets first: systemd, systemd-socket-activate, a test. It is none of
/// ours, but it can be at fault.
enum class Hop { activator, launcher, monitor, runtime_shim, payload };

/// The hops that a run of ours consists of.
inline constexpr std::array all_hops{Hop::launcher, Hop::monitor, Hop::runtime_shim, Hop::payload};

/// A point of a hop's life at which it can be observed, stopped (FDCHAIN_STOP) or delayed (FDCHAIN_DELAY).
///
/// exec: another program has been executed in the hop's place, a wrapper that is to start or become the hop;
/// it is observed only. arrival: the first act in main. departure: the last act before fork or, in the shim,
/// before exec. after_fork: the child exists. running: the payload runs. after_exit: the payload has ended
/// and nothing has been cleaned up yet. payload_exec: the payload, or a process that it has begun, has
/// executed a further program. payload_end: one of these as it was when it ended, or lived on when the
/// payload ended; of a launcher, a process that is no hop and lived on at the end.
enum class Moment { exec, arrival, departure, after_fork, running, after_exit, payload_exec, payload_end };

inline constexpr std::array all_moments{Moment::exec,         Moment::arrival,    Moment::departure,
                                        Moment::after_fork,   Moment::running,    Moment::after_exit,
                                        Moment::payload_exec, Moment::payload_end};

/// The name as users type and read it: `runtime-shim`, `after-fork`.
std::string_view to_string(Hop hop);
std::string_view to_string(Moment moment);

/// Knows the activator too.
std::optional<Hop> parse_hop(std::string_view name);
std::optional<Moment> parse_moment(std::string_view name);

}  // namespace fdchain
