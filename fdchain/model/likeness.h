// Which known name somebody may have meant.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace fdchain {

/// Whether `word` is `name` with a mistake or two in typing, or the beginning of it.
bool is_like(std::string_view word, std::string_view name);

/// The names that are like `word` or contain it, the closest first, three at most.
std::vector<std::string_view> names_like(std::string_view word, std::span<const std::string_view> names);

}  // namespace fdchain
