// How --help is laid out.
#pragma once

#include <boost/program_options.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace fdchain {

/// How wide --help is where nothing says how much room there is.
inline constexpr std::size_t usual_help_columns = 80;

/// The text of --help in so many columns: a program's words, then its options.
///
/// In `usage` a line is a paragraph, and is wrapped. One that begins with blanks stays as it is written, and
/// one with a tab in it is a term and what it means.
std::string help_text(std::string_view usage, const boost::program_options::options_description& options,
                      std::size_t columns);

/// The same of words alone.
std::string help_text(std::string_view usage, std::size_t columns);

}  // namespace fdchain
