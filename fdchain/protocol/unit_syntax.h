// The syntax of unit files, systemd.syntax(7), and the specifiers of systemd.unit(5).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fdchain {

/// `KEY=VALUE` in a section.
struct UnitLine {
  std::string section;
  std::string key;
  std::string value;
  std::string where;       ///< `echo.socket:7`
  std::size_t number = 0;  ///< `7`
};

/// What is to be said of a line.
struct UnitNote {
  std::size_t number = 0;
  std::string text;  ///< `echo.socket:7: a line without =; ignored`
};

/// All assignments of one file in their order. What is no line of a unit file is left out, with a note.
/// A section header that does not end is a Failure in a unit; a drop-in is read up to there, with a note.
enum class UnitFileKind { unit, drop_in };
std::vector<UnitLine> parse_unit_lines(std::string_view file, std::string_view text, UnitFileKind kind,
                                       std::vector<UnitNote>& notes);

inline constexpr std::size_t longest_unit_name = 255;

/// Whether a unit's name may have this character: systemd's VALID_CHARS, but for those of templates and
/// escapes.
bool is_plain_in_unit_name(char character);

/// The words of a value that is a list: blanks part them, quotes keep them together. Nothing when a quote
/// does not end.
std::optional<std::vector<std::string>> split_unit_words(std::string_view value);

/// systemd-escape's way back: `a-b\x20c` is `a/b c`. Nothing for an escape that is none.
std::optional<std::string> unescape_unit_name(std::string_view text);

}  // namespace fdchain
