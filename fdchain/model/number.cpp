#include "fdchain/model/number.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <string>

namespace fdchain {
namespace {

// Moves `text` past a 0b or 0o, which strtoul(3) does not know, and says which base is left to read.
int take_base(const char*& text) {
  if (text[0] != '0') return 0;
  const char marker = text[1];
  if (marker == 'b' || marker == 'B') {
    text += 2;
    return 2;
  }
  if (marker == 'o' || marker == 'O') {
    text += 2;
    return 8;
  }
  return 0;
}

// `strto` is strtoul or strtol; a text that is no clean number is EINVAL even where it is out of range too.
template <typename Integer, typename Convert>
Number<Integer> parse(const std::string& owned, Convert strto) {
  const char* text = owned.c_str();
  while (*text != '\0' && std::string_view(" \t\n\r").find(*text) != std::string_view::npos) ++text;
  const bool negative = *text == '-';
  const int base = take_base(text);
  char* end = nullptr;
  errno = 0;
  const Integer value = strto(text, &end, base);
  if (errno != 0) return {0, errno};
  if (end == text || *end != '\0') return {0, EINVAL};
  if constexpr (std::is_unsigned_v<Integer>) {
    if (negative && value != 0) return {0, ERANGE};
  }
  return {value, 0};
}

}  // namespace

Number<unsigned long> parse_unsigned_as_systemd(std::string_view text) {
  return parse<unsigned long>(std::string(text), ::strtoul);
}

Number<int> parse_int_as_systemd(std::string_view text) {
  const Number<long> wide = parse<long>(std::string(text), ::strtol);
  if (wide.error != 0) return {0, wide.error};
  if (wide.value < INT_MIN || wide.value > INT_MAX) return {0, ERANGE};
  return {static_cast<int>(wide.value), 0};
}

std::optional<std::uint64_t> parse_as_systemd(std::string_view text, std::uint64_t max) {
  const auto number = parse_unsigned_as_systemd(text);
  return number.error == 0 && number.value <= max ? std::optional<std::uint64_t>(number.value) : std::nullopt;
}

namespace {

constexpr std::string_view digits = "0123456789";

std::string_view take_while(std::string_view& text, std::string_view of, bool while_in) {
  const std::size_t end = while_in ? text.find_first_not_of(of) : text.find_first_of(of);
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(taken.size());
  return taken;
}

// `1.5` of a unit. Nothing when it is too large.
std::optional<std::uint64_t> multiply(std::string_view whole, std::string_view fraction, std::uint64_t unit) {
  const auto count = whole.empty() ? 0 : parse_decimal(whole, UINT64_MAX / unit);
  if (!count) return std::nullopt;
  std::uint64_t rest = 0;
  for (auto digit = fraction.rbegin(); digit != fraction.rend(); ++digit)
    rest = (static_cast<std::uint64_t>(*digit - '0') * unit + rest) / 10;
  const std::uint64_t product = *count * unit;
  return rest <= UINT64_MAX - product ? std::optional(product + rest) : std::nullopt;
}

constexpr std::string_view blanks = " \t\n\r";

/// The amount at the front of a text: `1.5`, and a unit.
struct Amount {
  std::string_view whole;
  std::string_view fraction;
  std::uint64_t unit = 0;
};

// Nothing when it is none.
std::optional<Amount> take_amount(std::string_view& text, std::span<const AmountUnit> units) {
  Amount amount;
  amount.whole = take_while(text, digits, true);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    amount.fraction = take_while(text, digits, true);
    if (amount.fraction.empty()) return std::nullopt;
  }
  if (amount.whole.empty() && amount.fraction.empty()) return std::nullopt;
  take_while(text, blanks, true);
  const std::string_view name = take_while(text, " \t\n\r.0123456789", false);
  const auto unit = std::ranges::find(units, name, &AmountUnit::first);
  if (unit == units.end()) return std::nullopt;
  amount.unit = unit->second;
  take_while(text, blanks, true);
  return amount;
}

std::optional<std::uint64_t> sum_of(std::string_view text, std::span<const AmountUnit> units, bool falling) {
  std::uint64_t sum = 0;
  std::uint64_t last_unit = UINT64_MAX;
  take_while(text, blanks, true);
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const auto amount = take_amount(text, units);
    if (!amount || (falling && (amount->unit >= last_unit || amount->whole.empty()))) return std::nullopt;
    last_unit = amount->unit;
    const auto worth = multiply(amount->whole, amount->fraction, amount->unit);
    if (!worth || *worth > UINT64_MAX - sum) return std::nullopt;
    sum += *worth;
  }
  return sum;
}

}  // namespace

std::optional<std::uint64_t> parse_amounts(std::string_view text, std::span<const AmountUnit> units) {
  return sum_of(text, units, false);
}

std::optional<std::uint64_t> parse_falling_amounts(std::string_view text, std::span<const AmountUnit> units) {
  return sum_of(text, units, true);
}

std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || value > max) return std::nullopt;
  return value;
}

}  // namespace fdchain
