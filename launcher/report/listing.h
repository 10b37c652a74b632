#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fdchain {

/// A table that a command prints, for people or for scripts.
struct Listing {
  std::string_view usage;
  std::string (*as_text)();
  std::string (*as_json)();
};

/// Answers `launcher COMMAND [--json]`, of which `words` are what is behind the command; returns the status.
int print_listing(const Listing& listing, const std::vector<std::string>& words);

}  // namespace fdchain
