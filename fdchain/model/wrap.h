#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fdchain {

/// How wide text is where nothing says how much room there is.
inline constexpr std::size_t usual_columns = 100;

/// The words of a text in lines of at most `width` bytes; at least one line. A word that is too long for a
/// line goes on in the next.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

}  // namespace fdchain
