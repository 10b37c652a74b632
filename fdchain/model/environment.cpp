#include "fdchain/model/environment.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace fdchain {
namespace {

bool assigns(std::string_view assignment, std::string_view name) {
  return assignment.size() > name.size() && assignment[name.size()] == '=' && assignment.starts_with(name);
}

}  // namespace

std::optional<std::string_view> Environment::get(std::string_view name) const {
  for (const std::string_view assignment : assignments_) {
    if (assigns(assignment, name)) return assignment.substr(name.size() + 1);
  }
  return std::nullopt;
}

void Environment::set(std::string_view name, std::string_view value) {
  std::string assignment(name);
  assignment.append("=").append(value);
  const auto first =
      std::ranges::find_if(assignments_, [&](const std::string& entry) { return assigns(entry, name); });
  if (first == assignments_.end()) {
    assignments_.push_back(std::move(assignment));
    return;
  }
  *first = std::move(assignment);
  assignments_.erase(std::remove_if(first + 1, assignments_.end(),
                                    [&](const std::string& entry) { return assigns(entry, name); }),
                     assignments_.end());
}

void Environment::unset(std::string_view name) {
  std::erase_if(assignments_, [&](const std::string& entry) { return assigns(entry, name); });
}

void Environment::keep_last_of_each() {
  std::set<std::string, std::less<>> seen;
  std::vector<std::string> kept;
  for (auto at = assignments_.rbegin(); at != assignments_.rend(); ++at) {
    const std::size_t equals = at->find('=');
    if (equals == std::string::npos || seen.insert(at->substr(0, equals)).second)
      kept.push_back(std::move(*at));
  }
  assignments_.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
}

}  // namespace fdchain
