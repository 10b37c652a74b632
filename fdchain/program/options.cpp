#include "fdchain/program/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <sstream>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"
#include "fdchain/model/variables.h"
#include "fdchain/program/help.h"
#include "fdchain/program/log.h"
#include "fdchain/program/terminal.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

/// A command line, split before Boost looks at it: Boost takes the value of an option for an option of its
/// own when one has that name, and would go on reading in the words of the next program.
struct Split {
  std::vector<std::string> own;  ///< one word for each option, its value included
  std::vector<std::string> rest;
};

bool takes_value(const po::option_description* option) {
  return option != nullptr && option->semantic()->max_tokens() > 0;
}

// What can do without one has it behind `=`.
bool needs_value(const po::option_description* option) {
  return takes_value(option) && option->semantic()->min_tokens() > 0;
}

// The option that a word names and that has its value in the next word; nothing for any other word.
const po::option_description* wants_next_word(const std::string& word,
                                              const po::options_description& options) {
  if (word.starts_with("--")) {
    const auto* const option = options.find_nothrow(word.substr(2), false);
    return needs_value(option) ? option : nullptr;
  }
  // `-dl VALUE`: flags, and at last one with a value; `-lVALUE` has it already.
  for (std::size_t i = 1; i < word.size(); ++i) {
    const auto* const option = options.find_nothrow(std::string("-") + word[i], false);
    if (option == nullptr) return nullptr;
    if (takes_value(option)) return i + 1 == word.size() ? option : nullptr;
  }
  return nullptr;
}

// The option of `--option=`; nothing for any other word.
const po::option_description* has_empty_value(const std::string& word,
                                              const po::options_description& options) {
  if (!word.starts_with("--") || !word.ends_with('=')) return nullptr;
  const auto* const option = options.find_nothrow(word.substr(2, word.size() - 3), false);
  return takes_value(option) ? option : nullptr;
}

Split split(const std::vector<std::string>& words, const po::options_description& options) {
  Split result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const bool is_option = word.size() > 1 && word[0] == '-' && word != "--";
    if (!is_option) {
      result.rest.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + (word == "--" ? 1 : 0),
                         words.end());
      return result;
    }
    if (const auto* const empty = has_empty_value(word, options))
      throw Failure("--" + empty->long_name() + ": its value is empty");
    const auto* const option = i + 1 < words.size() ? wants_next_word(word, options) : nullptr;
    if (option == nullptr) {
      result.own.push_back(word);
      continue;
    }
    // Flags before a short option with a value.
    if (!word.starts_with("--") && word.size() > 2) result.own.push_back(word.substr(0, word.size() - 1));
    if (words[++i].empty()) throw Failure("--" + option->long_name() + ": its value is empty");
    result.own.push_back("--" + option->long_name() + '=' + words[i]);
  }
  return result;
}

void print(const std::string& text) {
  std::string_view left = text;
  while (!left.empty()) {
    left.remove_prefix(static_cast<std::size_t>(
        check(retry([&] { return ::write(STDOUT_FILENO, left.data(), left.size()); }), "write", "stdout")));
  }
}

bool is_long_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// All options that are more than text are whole numbers. Which value was wrong is in Boost's sentence alone:
// "the argument ('VALUE') for option '--number' is invalid".
[[noreturn]] void refuse_number(const po::invalid_option_value& error,
                                const po::options_description& options) {
  constexpr std::string_view before = "('";
  constexpr std::string_view behind = "') for option";
  const std::string sentence = error.what();
  const std::size_t start = sentence.find(before) + before.size();
  const std::string value = sentence.substr(start, sentence.rfind(behind) - start);
  const auto* const option = options.find_nothrow(error.get_option_name().substr(2), false);
  const bool is_time = option != nullptr && option->format_parameter() == "SECONDS";
  throw Failure(fmt::format("{} {}: {}", error.get_option_name(), printable(value),
                            is_long_number(value) ? "too large a number"
                            : is_time             ? "not a whole number of seconds"
                                                  : "not a whole number"));
}

}  // namespace

void check_range(std::string_view option, int value, int least, int most) {
  if (least <= value && value <= most) return;
  throw Failure(fmt::format("{} {}: not from {} to {}", option, value, least, most));
}

void check_assignment(std::string_view option, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == 0 || equals == std::string_view::npos)
    throw Failure(fmt::format("{} {}: not NAME=VALUE", option, printable(assignment)));
  const std::string_view name = assignment.substr(0, equals);
  for (const auto announced : {listen_pid_name, listen_pidfdid_name, listen_fds_name, listen_fdnames_name}) {
    if (name == announced)
      throw Failure(fmt::format("{} {}: it announces the sockets, and every hop sets it itself", option,
                                printable(assignment)));
  }
  for (const auto own : {sync_pipe_name, start_pipe_name, notify_socket_name}) {
    if (name == own)
      throw Failure(
          fmt::format("{} {}: the chain sets it itself; see --sdnotify", option, printable(assignment)));
  }
}

void check_announcement(std::string_view option, std::string_view assignment) {
  for (const auto name : {listen_pid_name, listen_fds_name, listen_fdnames_name}) {
    if (!assignment.starts_with(name) || !assignment.substr(name.size()).starts_with('=')) continue;
    const std::string_view value = assignment.substr(name.size() + 1);
    const bool is_number = name == listen_fdnames_name ||
                           (name == listen_fds_name ? parse_int_as_systemd(value).error == 0
                                                    : parse_unsigned_as_systemd(value).error == 0);
    if (is_number) return;
    throw Failure(fmt::format("{} {}: not a number", option, printable(assignment)));
  }
  throw Failure(fmt::format("{} {}: not NAME=VALUE with LISTEN_PID, LISTEN_FDS or LISTEN_FDNAMES", option,
                            printable(assignment)));
}

po::typed_value<std::string>* colour_option(std::string& text) {
  return po::value(&text)->value_name("WHEN")->default_value("auto", "");
}

po::options_description common_options() {
  po::options_description options("Common options");
  options.add_options()  //
      ("log-level", po::value<std::string>()->value_name("LEVEL"),
       "debug, info, warn, error or off; default warn")  //
      ("version", "print the version and exit")          //
      ("help,h", "print this and exit");
  return options;
}

CommandLine parse_command_line(const std::vector<std::string>& words,
                               const po::options_description& options) try {
  namespace style = po::command_line_style;
  CommandLine result;
  Split words_of = split(words, options);
  result.rest = std::move(words_of.rest);
  try {
    po::store(po::command_line_parser(words_of.own)
                  .options(options)
                  .style(style::unix_style & ~style::allow_guessing)
                  .run(),
              result.options);
  } catch (const po::invalid_option_value& error) {
    refuse_number(error, options);
  }
  po::notify(result.options);
  if (result.options.count("log-level") != 0) {
    const auto& name = result.options["log-level"].as<std::string>();
    const auto level = log::parse_level(name);
    if (!level)
      throw Failure("--log-level " + printable(name) + ": not one of debug, info, warn, error, off");
    log::set_level(*level);
  }
  return result;
} catch (const po::error& error) {
  throw Failure(printable(error.what(), 400) + "; see --help");
}

bool answered(const CommandLine& command_line, Hop hop, std::string_view usage,
              const po::options_description& options) {
  std::ostringstream text;
  if (command_line.options.count("version") != 0) {
    text << to_string(hop) << " (fdchain) " << FDCHAIN_VERSION << '\n';
  } else if (command_line.options.count("help") != 0) {
    text << help_text(usage, options, columns_of(STDOUT_FILENO, usual_help_columns));
  } else {
    return false;
  }
  print(text.str());
  return true;
}

}  // namespace fdchain
