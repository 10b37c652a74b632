// What can be known of whoever reads what is printed.
#pragma once

#include <cstddef>
#include <string_view>

namespace fdchain {

enum class ColourChoice { automatic, always, never };

/// Reads auto, always or never. Throws Failure.
ColourChoice parse_colour_choice(std::string_view text);

/// Whether text for this descriptor is coloured. Without a choice NO_COLOR says no, FORCE_COLOR and
/// CLICOLOR_FORCE say yes, and otherwise a terminal that is not dumb is coloured.
bool wants_colour(int fd, ColourChoice choice = ColourChoice::automatic);

/// How many columns text for this descriptor has: COLUMNS, what the terminal says, or `unknown`. Never so few
/// that nothing could be laid out in them.
std::size_t columns_of(int fd, std::size_t unknown);

}  // namespace fdchain
