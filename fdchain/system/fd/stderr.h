#pragma once

#include <string_view>

namespace fdchain {

/// Writes a line to stderr, in one write, and never at the price of what the process is there for: a stderr
/// that is closed, that nobody reads or that is a full file neither ends the process by a signal nor keeps it
/// waiting for more than a second. The line is lost then; exit statuses say the rest.
///
/// Returns whether all of it has been written.
bool write_to_stderr(std::string_view line) noexcept;

}  // namespace fdchain
