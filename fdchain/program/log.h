// Logging, for people who look into a run; results and errors of a run are not log lines.
//
// Levels: debug, info, warn, error, off. The default is warn. --log-level LEVEL sets a program's own;
// FDCHAIN_LOG sets any hop's, in spdlog's notation: `FDCHAIN_LOG=warn,monitor=debug`. The option wins.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

#include "fdchain/model/hop.h"

namespace fdchain::log {

enum class Level { debug, info, warn, error, off };

/// The names that --log-level and FDCHAIN_LOG take.
std::optional<Level> parse_level(std::string_view name);

/// Names this program in its log lines and applies FDCHAIN_LOG. To be called after the arrival has been
/// taken: a first log line opens the time zone file. Throws Failure for an FDCHAIN_LOG it cannot read.
void start(Hop hop);

/// Overrides what FDCHAIN_LOG said.
void set_level(Level level);

/// Sends every line to syslog(3) too, in the form and under the name of conmon, with the first twenty
/// characters of its container's id: `conmon: conmon ID <nwarn>: TEXT`.
void also_to_syslog(std::string_view id);

/// Sends one line to syslog alone, for what has been said on stderr in other words; where nothing is sent
/// there, nothing happens.
void tell_syslog(Level level, std::string_view text);

[[nodiscard]] bool enabled(Level level);

/// Writes one line to stderr: `monitor: warning: TEXT`.
void write(Level level, const std::string& text);

template <typename... Arguments>
void debug(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Arguments>(arguments)...));
}

template <typename... Arguments>
void warn(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (enabled(Level::warn)) write(Level::warn, fmt::format(format, std::forward<Arguments>(arguments)...));
}

template <typename... Arguments>
void error(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Arguments>(arguments)...));
}

}  // namespace fdchain::log
