#include "fdchain/model/number.h"

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

std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || value > max) return std::nullopt;
  return value;
}

}  // namespace fdchain
