#include "fdchain/model/utf8.h"

#include <utility>

namespace fdchain {
namespace {

// What the second byte of a UTF-8 sequence can be, by the first: the bounds keep out overlong forms,
// surrogates and what lies beyond the last code point, none of which a JSON reader has to take.
std::pair<unsigned char, unsigned char> second_byte(unsigned char first) {
  switch (first) {
    case 0xe0: return {0xa0, 0xbf};
    case 0xed: return {0x80, 0x9f};
    case 0xf0: return {0x90, 0xbf};
    case 0xf4: return {0x80, 0x8f};
    default: return {0x80, 0xbf};
  }
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto [low, high] =
        i == 1 ? second_byte(first) : std::pair<unsigned char, unsigned char>{0x80, 0xbf};
    if (byte < low || byte > high) return 0;
  }
  return length;
}

}  // namespace fdchain
