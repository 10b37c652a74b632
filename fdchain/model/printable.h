#pragma once

#include <string>
#include <string_view>

namespace fdchain {

/// The text with every byte that could disturb a terminal or a log line written as \xNN, and cut at `max`
/// bytes.
///
/// Environment variables, paths and messages of other programs are somebody else's bytes: nothing of ours
/// prints them without this.
std::string printable(std::string_view text, std::size_t max = 200);

}  // namespace fdchain
