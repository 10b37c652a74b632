// The syntax of unit files, systemd.syntax(7), and the specifiers of systemd.unit(5).
#pragma once

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
  std::string where;  ///< `echo.socket:7`
};

/// All assignments of one file in their order. What is no line of a unit file is left out, with a note.
/// Throws Failure for a section header that does not end.
std::vector<UnitLine> parse_unit_lines(std::string_view file, std::string_view text,
                                       std::vector<std::string>& notes);

/// The words of a value that is a list: blanks part them, quotes keep them together. Nothing when a quote
/// does not end.
std::optional<std::vector<std::string>> split_unit_words(std::string_view value);

/// systemd-escape's way back: `a-b\x20c` is `a/b c`. Nothing for an escape that is none.
std::optional<std::string> unescape_unit_name(std::string_view text);

}  // namespace fdchain
