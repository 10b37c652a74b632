// What the command lines of the four programs have in common.
#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/hop.h"

namespace fdchain {

/// What an option parser hands back: the options, and the words from the first one that is none.
struct CommandLine {
  boost::program_options::variables_map options;
  std::vector<std::string> rest;  ///< the next program with its arguments, untouched
};

/// One line on --log, for the programs that have it.
inline constexpr const char* log_target_help =
    "payload's stdout and stderr: passthrough (ours), none, or k8s-file:FILE in conmon's format";

/// The option --color, which takes auto, always or never, and one line on it.
boost::program_options::typed_value<std::string>* colour_option(std::string& text);
inline constexpr const char* colour_help = "colour in reports: auto (the default), always or never";

inline constexpr int longest_timeout = 10 * 365 * 24 * 3600;  ///< seconds
inline constexpr int most_preserved_fds = 65536;

/// Throws Failure when the value of an option is not from `least` to `most`.
void check_range(std::string_view option, int value, int least, int most);

/// Throws Failure when the value of an option is not NAME=VALUE, or NAME is one of LISTEN_*.
void check_assignment(std::string_view option, std::string_view assignment);

/// Throws Failure when the value of an option is not NAME=VALUE with one of LISTEN_PID, LISTEN_FDS and
/// LISTEN_FDNAMES for a name.
void check_announcement(std::string_view option, std::string_view assignment);

/// The options every program has: --log-level, --help and --version.
boost::program_options::options_description common_options();

/// Parses `own [options] [--] rest…`. Options end at `--` or at the first word that is no option, so that the
/// next program keeps its own. The word after an option that takes a value is its value, whatever it looks
/// like. Applies --log-level. Throws Failure naming the word that is wrong.
CommandLine parse_command_line(const std::vector<std::string>& words,
                               const boost::program_options::options_description& options);

/// Whether --help or --version was given; if so it has been answered on stdout. `usage` is written as
/// help_text takes it.
bool answered(const CommandLine& command_line, Hop hop, std::string_view usage,
              const boost::program_options::options_description& options);

}  // namespace fdchain
