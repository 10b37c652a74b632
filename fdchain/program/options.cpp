#include "fdchain/program/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <sstream>

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/log.h"
#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

// The option parser asks here first, whenever it is about to read a word as the name of an option.
std::vector<po::option> take_rest(std::vector<std::string>& words) {
  const std::string& first = words.front();
  const bool is_option = first.size() > 1 && first[0] == '-' && first != "--";
  if (is_option) return {};
  const std::size_t skip = first == "--" ? 1 : 0;
  std::vector<po::option> rest;
  for (std::size_t i = skip; i < words.size(); ++i) {
    po::option word;
    word.value = {words[i]};
    word.position_key = static_cast<int>(i);
    rest.push_back(word);
  }
  words.clear();
  return rest;
}

void print(const std::string& text) {
  std::string_view left = text;
  while (!left.empty()) {
    left.remove_prefix(static_cast<std::size_t>(
        check(retry([&] { return ::write(STDOUT_FILENO, left.data(), left.size()); }), "write", "stdout")));
  }
}

}  // namespace

void check_range(std::string_view option, int value, int least, int most) {
  if (least <= value && value <= most) return;
  throw Failure(fmt::format("{} {}: not from {} to {}", option, value, least, most));
}

void check_assignment(std::string_view option, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals != 0 && equals != std::string_view::npos) return;
  throw Failure(fmt::format("{} {}: not NAME=VALUE", option, printable(assignment)));
}

po::options_description common_options() {
  po::options_description options("Common options");
  options.add_options()                                                                         //
      ("log-level", po::value<std::string>(), "debug, info, warn, error or off; default warn")  //
      ("version", "print the version and exit")                                                 //
      ("help,h", "print this and exit");
  return options;
}

CommandLine parse_command_line(const std::vector<std::string>& words,
                               const po::options_description& options) try {
  namespace style = po::command_line_style;
  CommandLine result;
  const auto parsed = po::command_line_parser(words)
                          .options(options)
                          .positional(po::positional_options_description().add("rest", -1))
                          .style(style::unix_style & ~style::allow_guessing)
                          .extra_style_parser(take_rest)
                          .run();
  po::parsed_options own(parsed.description, parsed.m_options_prefix);
  for (const po::option& option : parsed.options) {
    if (option.position_key >= 0)
      result.rest.push_back(option.value.front());
    else
      own.options.push_back(option);
  }
  po::store(own, result.options);
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
    text << usage << '\n' << options;
  } else {
    return false;
  }
  print(text.str());
  return true;
}

}  // namespace fdchain
