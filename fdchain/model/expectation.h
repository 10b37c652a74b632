#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/hop.h"

namespace fdchain {

/// A socket, or whatever has this name or address, at a number.
struct ExpectedPlace {
  std::string name;
  int number = -1;
  friend bool operator==(const ExpectedPlace&, const ExpectedPlace&) = default;
};

/// What a hop is to hold from 3 on when it starts: the value of --expect.
struct Expectation {
  std::string text;  ///< as it was typed
  Hop hop = Hop::payload;
  std::vector<ExpectedPlace> places;
  bool nothing_else = false;
  friend bool operator==(const Expectation&, const Expectation&) = default;
};

/// Reads `HOP: NAME at N, …[, nothing else]` or `HOP: nothing`. Throws Failure.
Expectation parse_expectation(std::string_view text);

}  // namespace fdchain
