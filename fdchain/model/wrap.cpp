#include "fdchain/model/wrap.h"

namespace fdchain {
namespace {

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80; }

// As much of a word as goes into a line, and no half character.
std::string_view begin_of(std::string_view word, std::size_t width) {
  if (word.size() <= width) return word;
  std::size_t size = width;
  while (size > 1 && continues_character(word[size])) --size;
  return word.substr(0, size);
}

}  // namespace

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::string_view word = begin_of(text.substr(0, text.find(' ')), width);
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) lines.emplace_back();
    if (!lines.back().empty()) lines.back() += ' ';
    lines.back() += word;
    text.remove_prefix(word.size());
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  return lines;
}

}  // namespace fdchain
