#include "fdchain/program/help.h"

#include <algorithm>

#include "fdchain/model/wrap.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

// Where the meaning begins. A term that reaches so far has a line of its own.
constexpr std::size_t usual_gutter = 24;
constexpr std::size_t narrow_gutter = 8;
constexpr std::size_t narrow = 64;

std::string entry(const std::string& term, std::string_view meaning, std::size_t columns) {
  const std::size_t gutter = columns < narrow ? narrow_gutter : usual_gutter;
  std::string text = "  " + term;
  const bool beside = text.size() + 2 <= gutter;
  bool first = true;
  for (const std::string& line : wrap(meaning, columns - gutter)) {
    if (first && beside)
      text.append(gutter - text.size(), ' ');
    else
      text.append(1, '\n').append(gutter, ' ');
    text += line;
    first = false;
  }
  return text + '\n';
}

std::string paragraph(const std::string& line, std::size_t columns) {
  std::string text;
  for (const std::string& part : wrap(line, columns)) text += part + '\n';
  return text;
}

// `-l, --listen KIND:ADDRESS`; what has no short name stands where the long one of the others does.
std::string term_of(const po::option_description& option) {
  const std::string short_name = option.canonical_display_name(po::command_line_style::allow_dash_for_short);
  std::string term = short_name.starts_with("--") || short_name.size() != 2 ? "    " : short_name + ", ";
  term += "--" + option.long_name();
  const std::string value = option.format_parameter();
  if (value.empty()) return term;
  const bool may_be_left_out = option.semantic()->min_tokens() == 0;
  return may_be_left_out ? term + "[=" + value + ']' : term + ' ' + value;
}

}  // namespace

std::string help_text(std::string_view usage, std::size_t columns) {
  std::string text;
  while (!usage.empty()) {
    const std::string line(usage.substr(0, usage.find('\n')));
    usage.remove_prefix(std::min(usage.size(), line.size() + 1));
    const std::size_t tab = line.find('\t');
    if (tab != std::string::npos)
      text += entry(line.substr(0, tab), std::string_view(line).substr(tab + 1), columns);
    else
      text += line.starts_with(' ') ? line + '\n' : paragraph(line, columns);
  }
  return text;
}

std::string help_text(std::string_view usage, const po::options_description& options, std::size_t columns) {
  std::string text = help_text(usage, columns) + "\nOptions:\n";
  for (const auto& option : options.options())
    text += entry(term_of(*option), option->description(), columns);
  return text;
}

}  // namespace fdchain
