#pragma once

#include <cstddef>
#include <string_view>

namespace fdchain {

/// How many bytes the UTF-8 sequence at the front of `text` has, which is not empty; 0 when it is none.
std::size_t utf8_length(std::string_view text);

}  // namespace fdchain
