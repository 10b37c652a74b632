#include "fdchain/model/expectation.h"

#include <fmt/format.h>

#include <algorithm>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

constexpr std::uint64_t most_descriptors = (1U << 30) - 1;  // Linux gives no number as high

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Failure("--expect " + printable(text) + ": " + why);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

Hop read_hop(std::string_view text, std::string_view word) {
  const auto hop = parse_hop(word);
  if (!hop || *hop == Hop::activator)
    refuse(text,
           fmt::format("{} is not one of {}", printable(word), "launcher, monitor, runtime-shim, payload"));
  return *hop;
}

// `NAME at N`; an address can hold blanks, and so the last ` at ` counts.
ExpectedPlace read_place(std::string_view text, std::string_view item) {
  constexpr std::string_view before_number = " at ";
  const std::size_t at = item.rfind(before_number);
  const std::string_view name = at == std::string_view::npos ? "" : trimmed(item.substr(0, at));
  if (name.empty()) refuse(text, fmt::format("'{}' is not NAME at NUMBER", printable(item)));
  const std::string_view word = trimmed(item.substr(at + before_number.size()));
  const auto number = parse_decimal(word, most_descriptors);
  if (!number || *number < listen_fds_start)
    refuse(text, fmt::format("'{}' is not a descriptor from {} on", printable(word), listen_fds_start));
  return {std::string(name), static_cast<int>(*number)};
}

}  // namespace

Expectation parse_expectation(std::string_view text) {
  const std::size_t colon = text.find(':');
  std::string_view rest = colon == std::string_view::npos ? "" : trimmed(text.substr(colon + 1));
  if (rest.empty()) refuse(text, "not 'HOP: NAME at N, ...[, nothing else]' or 'HOP: nothing'");
  Expectation expected{std::string(text), read_hop(text, trimmed(text.substr(0, colon))), {}, false};
  if (rest == "nothing") {
    expected.nothing_else = true;
    return expected;
  }
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = trimmed(rest.substr(0, comma));
    more = comma != std::string_view::npos;
    if (more) rest.remove_prefix(comma + 1);
    if (item == "nothing else" && !expected.places.empty()) {
      if (more) refuse(text, "'nothing else' stands at the end");
      expected.nothing_else = true;
      break;
    }
    ExpectedPlace place = read_place(text, item);
    if (std::ranges::find(expected.places, place.number, &ExpectedPlace::number) != expected.places.end())
      refuse(text, fmt::format("descriptor {} is named twice", place.number));
    expected.places.push_back(std::move(place));
  }
  return expected;
}

}  // namespace fdchain
