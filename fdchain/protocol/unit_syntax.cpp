#include "fdchain/protocol/unit_syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/utf8.h"

namespace fdchain {
namespace {

constexpr std::string_view blanks = " \t\n\r";

std::string_view strip(std::string_view text) {
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// A backslash that is not itself behind one.
bool is_continued(std::string_view line) {
  const std::size_t last = line.find_last_not_of('\\');
  const std::size_t backslashes = line.size() - (last == std::string_view::npos ? 0 : last + 1);
  return backslashes % 2 == 1;
}

bool is_comment(std::string_view line) {
  const std::size_t first = line.find_first_not_of(blanks);
  return first != std::string_view::npos && (line[first] == '#' || line[first] == ';');
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

class Reader {
 public:
  Reader(std::string_view file, std::vector<UnitNote>& notes) : file_(file), notes_(notes) {}

  void read(std::string_view line, std::size_t number);
  std::vector<UnitLine> take() { return std::move(lines_); }

 private:
  void note(std::size_t number, std::string_view what) {
    notes_.push_back({number, fmt::format("{}:{}: {}; ignored", file_, number, what)});
  }
  void open_section(std::string_view line, std::size_t number);

  std::string_view file_;
  std::vector<UnitNote>& notes_;
  std::vector<UnitLine> lines_;
  std::string section_;
  bool known_ = false;
};

void Reader::open_section(std::string_view line, std::size_t number) {
  static constexpr std::array<std::string_view, 3> sections{"Unit", "Socket", "Install"};
  // The one mistake for which systemd does not load a unit at all.
  if (!line.ends_with(']')) throw Failure(fmt::format("{}:{}: a section header without ]", file_, number));
  section_ = line.substr(1, line.size() - 2);
  known_ = std::ranges::find(sections, section_) != sections.end();
  if (!known_ && !section_.starts_with("X-"))
    note(number, fmt::format("unknown section [{}]", printable(section_)));
}

void Reader::read(std::string_view text, std::size_t number) {
  const std::string_view line = strip(text);
  if (line.empty()) return;
  if (!is_utf8(line)) return note(number, "not UTF-8");
  if (line.starts_with('[')) return open_section(line, number);
  if (section_.empty()) return note(number, "an assignment before any section");
  if (!known_) return;
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return note(number, "a line without =");
  lines_.push_back({section_, std::string(strip(line.substr(0, equals))),
                    std::string(strip(line.substr(equals + 1))), fmt::format("{}:{}", file_, number),
                    number});
}

void read_lines(Reader& reader, std::string_view text) {
  std::string joined;
  std::size_t number = 0;
  std::size_t first = 0;  // of the lines that are joined
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (is_comment(line)) continue;  // also between two lines that are one
    if (joined.empty()) first = number;
    joined += line;
    if (is_continued(line)) {
      joined.back() = ' ';
      continue;
    }
    reader.read(joined, first);
    joined.clear();
  }
  if (!joined.empty()) reader.read(joined, first);
}

}  // namespace

std::vector<UnitLine> parse_unit_lines(std::string_view file, std::string_view text, UnitFileKind kind,
                                       std::vector<UnitNote>& notes) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  Reader reader(file, notes);
  try {
    read_lines(reader, text);
  } catch (const Failure& failure) {
    if (kind == UnitFileKind::unit) throw;
    const std::size_t behind_all = std::numeric_limits<std::size_t>::max();
    notes.push_back({behind_all, std::string(failure.what()) + "; the rest of the file is ignored"});
  }
  return reader.take();
}

bool is_plain_in_unit_name(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 ||
         std::string_view(":-_.").find(character) != std::string_view::npos;
}

std::optional<std::vector<std::string>> split_unit_words(std::string_view value) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (const char character : value) {
    if (quote != 0) {
      if (character == quote)
        quote = 0;
      else
        words.back() += character;
      continue;
    }
    const bool blank = blanks.find(character) != std::string_view::npos;
    if (!blank && !in_word) words.emplace_back();
    in_word = !blank;
    if (character == '"' || character == '\'')
      quote = character;
    else if (!blank)
      words.back() += character;
  }
  if (quote != 0) return std::nullopt;
  return words;
}

std::optional<std::string> unescape_unit_name(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '-') {
      plain += '/';
    } else if (text[i] == '\\') {
      unsigned byte = 0;
      const std::string_view digits = text.substr(std::min(i + 2, text.size()), 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
      const bool good = text.substr(i).starts_with("\\x") && digits.size() == 2 && error == std::errc() &&
                        end == digits.data() + digits.size();
      if (!good) return std::nullopt;
      plain += static_cast<char>(byte);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace fdchain
