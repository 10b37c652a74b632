#include "fdchain/model/printable.h"

namespace fdchain {

std::string printable(std::string_view text, std::size_t max) {
  static constexpr std::string_view hex = "0123456789abcdef";
  std::string result;
  for (const char character : text) {
    if (result.size() >= max) return result + "...";
    const auto byte = static_cast<unsigned char>(character);
    const bool plain = byte >= 0x20 && byte < 0x7f;
    if (plain) {
      result += character;
    } else {
      result.append("\\x").append(1, hex[byte >> 4]).append(1, hex[byte & 15]);
    }
  }
  return result;
}

}  // namespace fdchain
