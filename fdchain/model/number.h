#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace fdchain {

/// A number read the way systemd's safe_ato…() family reads it, with the errno it would return otherwise.
///
/// Blanks and `+` may come first, `0x`, `0o`, `0b` and a leading 0 choose the base, nothing may follow.
/// sd_listen_fds(3) reads LISTEN_PID and LISTEN_FDS so; being stricter would refuse what the payload accepts.
template <typename Integer>
struct Number {
  Integer value = 0;
  int error = 0;  ///< 0, EINVAL or ERANGE
};

Number<unsigned long> parse_unsigned_as_systemd(std::string_view text);
Number<int> parse_int_as_systemd(std::string_view text);

/// The same, from 0 to `max`.
std::optional<std::uint64_t> parse_as_systemd(std::string_view text, std::uint64_t max);

/// What one unit of an amount is worth: `{"min", 60}`.
using AmountUnit = std::pair<std::string_view, std::uint64_t>;

/// A sum of amounts as systemd reads spans of time: `1min 30s`. The unit without a name is for a number
/// without one. Nothing when it is none, or more than 64 bits hold.
std::optional<std::uint64_t> parse_amounts(std::string_view text, std::span<const AmountUnit> units);

/// The same for sizes, where each amount has a smaller unit than the one before, and begins with a digit:
/// `1.5M`, `1M 512K`.
std::optional<std::uint64_t> parse_falling_amounts(std::string_view text, std::span<const AmountUnit> units);

/// A plain decimal number from 0 to `max` and nothing else, for our own options and protocols.
std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max);

}  // namespace fdchain
