#include "fdchain/model/likeness.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

namespace fdchain {
namespace {

constexpr std::size_t most_names = 3;
constexpr std::size_t shortest_part = 3;  // of a name that says which one is meant

// How many letters have to be put in, taken out or changed.
std::size_t distance(std::string_view one, std::string_view other) {
  std::vector<std::size_t> row(other.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 0; i < one.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < other.size(); ++j) {
      const std::size_t changed = diagonal + (one[i] == other[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

bool is_like(std::string_view word, std::string_view name) {
  if (word.size() >= shortest_part && name.starts_with(word)) return true;
  const std::size_t most_mistakes = name.size() > 4 ? 2 : 1;
  // A word of any length is somebody's input; the table of a distance grows with it.
  return word.size() <= name.size() + most_mistakes && distance(word, name) <= most_mistakes;
}

std::vector<std::string_view> names_like(std::string_view word, std::span<const std::string_view> names) {
  std::vector<std::string_view> like;
  for (const std::string_view name : names) {
    const bool contains = word.size() >= shortest_part && name.find(word) != std::string_view::npos;
    if (contains || is_like(word, name)) like.push_back(name);
  }
  std::ranges::stable_sort(like, {}, [&](std::string_view name) { return distance(word, name); });
  like.resize(std::min(like.size(), most_names));
  return like;
}

}  // namespace fdchain
