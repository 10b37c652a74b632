#include "fdchain/protocol/oci_cli.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <span>
#include <variant>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/model/printable.h"

namespace fdchain::oci {
namespace {

constexpr int most_preserved = 65536;

struct VerbName {
  Verb verb;
  std::string_view name;
  std::string_view operands;
  std::string_view does;
};

constexpr std::array verb_names{
    VerbName{Verb::create, "create", "ID", "make a container, and have it wait for start"},
    VerbName{Verb::start, "start", "ID", "let a created container run its program"},
    VerbName{Verb::run, "run", "ID", "create and start a container, and wait for its end"},
    VerbName{Verb::exec, "exec", "ID [PROGRAM [ARG...]]", "run one more program in a container"},
    VerbName{Verb::state, "state", "ID", "print what has become of a container, as JSON"},
    VerbName{Verb::kill, "kill", "ID [SIGNAL]", "send a container's first process a signal, TERM by default"},
    VerbName{Verb::remove, "delete", "ID", "forget a container that has stopped"},
    VerbName{Verb::list, "list", "", "print the containers there are"},
    VerbName{Verb::ps, "ps", "ID", "print the pids of a container's processes"},
    VerbName{Verb::features, "features", "", "print what this runtime carries out, as JSON"},
    VerbName{Verb::spec, "spec", "", "write a config.json to begin with"},
};

// For the callers of crun and runc: these need cgroups or criu.
constexpr std::array absent_verbs{"pause", "resume", "update", "checkpoint", "restore", "events"};

constexpr unsigned of(Verb verb) { return 1U << static_cast<unsigned>(verb); }
constexpr unsigned before_verb = 1U << 31;
constexpr unsigned making = of(Verb::create) | of(Verb::run);
constexpr unsigned starting = making | of(Verb::exec);

using Member = std::variant<bool Command::*, int Command::*, std::string Command::*,
                            std::vector<std::string> Command::*>;

struct Option {
  std::string_view name;
  char letter;
  unsigned where;
  Member member;
  std::string_view value;  ///< its name in the help; empty for a flag
  std::string_view help;
};

const std::array options{
    Option{
        "root", 0, before_verb, &Command::root, "DIR",
        "where the states are kept; default /run/fdchain, or $XDG_RUNTIME_DIR/fdchain for an ordinary user"},
    Option{"log", 0, before_verb, &Command::log, "FILE",
           "append errors and warnings to FILE; default stderr"},
    Option{"log-format", 0, before_verb, &Command::log_format, "FORMAT", "text or json"},
    Option{"debug", 0, before_verb, &Command::debug, "", "log what is done, too"},
    Option{"cgroup-manager", 0, before_verb, &Command::cgroup_manager, "NAME",
           "disabled: limits of config.json are not wanted; others are accepted, none is used"},
    Option{"systemd-cgroup", 0, before_verb, &Command::systemd_cgroup, "", "accepted; no cgroup is made"},
    Option{"rootless", 0, before_verb, &Command::rootless, "VALUE", "accepted; found out without it"},
    Option{"strict", 0, before_verb, &Command::strict, "", "refuse what would be ignored with a warning"},
    Option{"bundle", 'b', making | of(Verb::spec), &Command::bundle, "DIR",
           "the directory of config.json; default the current one"},
    Option{"config", 'f', making, &Command::config_file, "FILE", "instead of config.json"},
    Option{"pid-file", 0, starting, &Command::pid_file, "FILE", "write the pid there"},
    Option{"console-socket", 0, starting, &Command::console_socket, "SOCKET",
           "send the terminal's other end there"},
    Option{"preserve-fds", 0, starting, &Command::preserve_fds, "N", "pass on N descriptors, from 3"},
    Option{"no-pivot", 0, making, &Command::no_pivot, "", "chroot instead of pivot_root"},
    Option{"no-new-keyring", 0, making, &Command::no_new_keyring, "", "keep the caller's session keyring"},
    Option{"no-subreaper", 0, making, &Command::no_subreaper, "", "accepted; this runtime never is one"},
    Option{"detach", 'd', of(Verb::run) | of(Verb::exec), &Command::detach, "", "return when it runs"},
    Option{"keep", 0, of(Verb::run), &Command::keep, "", "leave the container to `delete` when it has ended"},
    Option{"process", 'p', of(Verb::exec), &Command::process_file, "FILE", "the process as JSON"},
    Option{"tty", 't', of(Verb::exec), &Command::tty, "", "with a terminal"},
    Option{"env", 'e', of(Verb::exec), &Command::env, "NAME=VALUE", "set a variable; repeatable"},
    Option{"cwd", 0, of(Verb::exec), &Command::cwd, "DIR", "the working directory"},
    Option{"user", 'u', of(Verb::exec), &Command::user, "UID[:GID]", "the user, and the group"},
    Option{"additional-gids", 'g', of(Verb::exec), &Command::additional_gids, "GID",
           "one more group; repeatable"},
    Option{"cap", 'c', of(Verb::exec), &Command::capabilities, "CAP", "add a capability; repeatable"},
    Option{"no-new-privs", 0, of(Verb::exec), &Command::no_new_privileges, "",
           "no program may give more privileges"},
    Option{"apparmor", 0, of(Verb::exec), &Command::apparmor, "PROFILE", "refused"},
    Option{"process-label", 0, of(Verb::exec), &Command::process_label, "LABEL", "refused"},
    Option{"cgroup", 0, of(Verb::exec), &Command::cgroup, "PATH", "refused"},
    Option{"force", 'f', of(Verb::remove), &Command::force, "", "kill it first; an unknown id is no error"},
    Option{"all", 'a', of(Verb::kill), &Command::all, "", "every process of the container"},
    Option{"quiet", 'q', of(Verb::list), &Command::quiet, "", "ids alone"},
    Option{"format", 'f', of(Verb::list) | of(Verb::ps), &Command::format, "FORMAT", "table or json"},
    Option{"file", 'f', of(Verb::spec), &Command::file, "FILE", "write there; default config.json"},
};

bool is_flag(const Option& option) { return option.value.empty(); }

const VerbName* find_verb(std::string_view word) {
  const auto* const found = std::ranges::find(verb_names, word, &VerbName::name);
  return found == verb_names.end() ? nullptr : found;
}

bool is_absent_verb(std::string_view word) {
  return std::ranges::find(absent_verbs, word) != absent_verbs.end();
}

const Option* find_long(std::string_view name, unsigned where) {
  const auto* const found = std::ranges::find_if(
      options, [&](const Option& option) { return option.name == name && (option.where & where) != 0; });
  return found == options.end() ? nullptr : found;
}

const Option* find_letter(char letter, unsigned where) {
  const auto* const found = std::ranges::find_if(
      options, [&](const Option& option) { return option.letter == letter && (option.where & where) != 0; });
  return found == options.end() ? nullptr : found;
}

[[noreturn]] void refuse(std::string_view word, std::string_view why) {
  throw Failure(printable(word) + ": " + std::string(why));
}

bool parse_truth(std::string_view word, std::string_view value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  refuse(word, "neither true nor false");
}

void assign(Command& command, const Option& option, std::string_view word, std::string_view value) {
  if (const auto* const text = std::get_if<std::string Command::*>(&option.member)) {
    command.** text = std::string(value);
  } else if (const auto* const list = std::get_if<std::vector<std::string> Command::*>(&option.member)) {
    (command.**list).emplace_back(value);
  } else if (const auto* const flag = std::get_if<bool Command::*>(&option.member)) {
    command.** flag = parse_truth(word, value);
  } else if (const auto* const number = std::get_if<int Command::*>(&option.member)) {
    const auto parsed = parse_decimal(value, most_preserved);
    if (!parsed)
      refuse("--" + std::string(option.name) + ' ' + printable(value), "not a number from 0 to 65536");
    command.** number = static_cast<int>(*parsed);
  }
}

/// A command line being read, word by word.
class Reader {
 public:
  explicit Reader(const std::vector<std::string>& words) : words_(words) {}

  [[nodiscard]] bool at_end() const { return next_ == words_.size(); }
  const std::string& take() { return words_[next_++]; }

  std::string_view value_of(std::string_view word) {
    if (at_end()) refuse(word, "its value is missing");
    return take();
  }

  [[nodiscard]] std::vector<std::string> rest() const {
    return {words_.begin() + static_cast<std::ptrdiff_t>(next_), words_.end()};
  }

 private:
  const std::vector<std::string>& words_;
  std::size_t next_ = 0;
};

void read_long(const std::string& word, unsigned where, Reader& reader, Command& command) {
  const std::size_t equals = word.find('=');
  const Option* const option = find_long(std::string_view(word).substr(2, equals - 2), where);
  if (option == nullptr) refuse(word, "unknown option");
  if (equals != std::string::npos) {
    assign(command, *option, word, std::string_view(word).substr(equals + 1));
  } else {
    assign(command, *option, word, is_flag(*option) ? "true" : reader.value_of(word));
  }
}

// `-b DIR`, `-bDIR`, and flags together: `-dt`.
void read_letters(const std::string& word, unsigned where, Reader& reader, Command& command) {
  for (std::size_t i = 1; i < word.size(); ++i) {
    const Option* const option = find_letter(word[i], where);
    if (option == nullptr) refuse(word, "unknown option");
    if (is_flag(*option)) {
      assign(command, *option, word, "true");
      continue;
    }
    assign(command, *option, word, i + 1 < word.size() ? word.substr(i + 1) : reader.value_of(word));
    return;
  }
}

bool asks_for_help(std::string_view word) { return word == "--help" || word == "-h" || word == "-?"; }
bool asks_for_version(std::string_view word) { return word == "--version" || word == "-v" || word == "-V"; }

void read_option(const std::string& word, unsigned where, Reader& reader, Command& command) {
  if (word.starts_with("--")) {
    read_long(word, where, reader, command);
  } else {
    read_letters(word, where, reader, command);
  }
}

bool is_option(std::string_view word) { return word.size() > 1 && word[0] == '-'; }

void take_operands(Command& command, const std::vector<std::string>& operands) {
  const bool has_id =
      command.verb != Verb::list && command.verb != Verb::features && command.verb != Verb::spec;
  std::size_t most = has_id ? 1 : 0;
  if (command.verb == Verb::kill) most = 2;
  if (command.verb == Verb::exec) most = operands.size();
  if (has_id && operands.empty()) throw Failure("the container's ID is missing; see --help");
  if (operands.size() > most) refuse(operands[most], "one word too many");
  if (has_id) command.id = operands[0];
  if (command.verb == Verb::kill && operands.size() == 2) command.signal = operands[1];
  if (command.verb == Verb::exec) command.args.assign(operands.begin() + 1, operands.end());
}

void read_after_verb(Reader& reader, Command& command) {
  std::vector<std::string> operands;
  while (!reader.at_end()) {
    const std::string& word = reader.take();
    if (asks_for_help(word)) {
      command.help_about = command.verb;
      command.verb = Verb::help;
      return;
    }
    if (word == "--" && (command.verb != Verb::exec || operands.empty())) continue;
    if (is_option(word)) {
      read_option(word, of(command.verb), reader, command);
      continue;
    }
    operands.push_back(word);
    // The program's own words follow.
    if (command.verb == Verb::exec) {
      std::vector<std::string> rest = reader.rest();
      if (!rest.empty() && rest[0] == "--") rest.erase(rest.begin());
      operands.insert(operands.end(), rest.begin(), rest.end());
      break;
    }
  }
  take_operands(command, operands);
}

void check_choice(std::string_view option, std::string_view value, std::string_view one,
                  std::string_view other) {
  if (value == one || value == other) return;
  refuse(std::string(option) + ' ' + printable(value),
         "neither " + std::string(one) + " nor " + std::string(other));
}

void write_options(const Command& command, unsigned where, std::vector<std::string>& words) {
  const Command defaults;
  for (const Option& option : options) {
    if ((option.where & where) == 0) continue;
    const std::string name = "--" + std::string(option.name);
    if (const auto* const text = std::get_if<std::string Command::*>(&option.member)) {
      if (command.**text != defaults.**text) words.insert(words.end(), {name, command.**text});
    } else if (const auto* const list = std::get_if<std::vector<std::string> Command::*>(&option.member)) {
      for (const std::string& each : command.**list) words.insert(words.end(), {name, each});
    } else if (const auto* const flag = std::get_if<bool Command::*>(&option.member)) {
      if (command.**flag) words.push_back(name);
    } else if (const auto* const number = std::get_if<int Command::*>(&option.member)) {
      if (command.**number != 0) words.insert(words.end(), {name, std::to_string(command.**number)});
    }
  }
}

std::string help_line(const Option& option) {
  std::string left = option.letter != 0 ? std::string("  -") + option.letter + ", " : "      ";
  left += "--" + std::string(option.name);
  if (!is_flag(option)) left += ' ' + std::string(option.value);
  left.resize(std::max<std::size_t>(left.size() + 1, 32), ' ');
  return left + std::string(option.help) + '\n';
}

std::string help_lines(unsigned where) {
  std::string text;
  for (const Option& option : options) {
    if ((option.where & where) != 0) text += help_line(option);
  }
  return text;
}

}  // namespace

bool is_command_line(const std::vector<std::string>& words) {
  Reader reader(words);
  bool known = false;  // the native dialect has none of these options: what follows one is this one's to name
  while (!reader.at_end()) {
    const std::string& word = reader.take();
    if (!is_option(word)) return known || find_verb(word) != nullptr || is_absent_verb(word);
    if (word == "--") return false;
    if (!word.starts_with("--")) return known || asks_for_version(word);
    const std::size_t equals = word.find('=');
    const Option* const option = find_long(std::string_view(word).substr(2, equals - 2), before_verb);
    // --help alone is answered in the native dialect, which points here.
    if (option == nullptr) return known || asks_for_version(word);
    known = true;
    if (!is_flag(*option) && equals == std::string::npos) {
      if (reader.at_end()) return true;
      reader.take();
    }
  }
  return false;
}

void decode_command(const std::vector<std::string>& words, Command& command) {
  Reader reader(words);
  while (!reader.at_end()) {
    const std::string& word = reader.take();
    if (asks_for_version(word)) {
      command.verb = Verb::version;
      return;
    }
    if (asks_for_help(word)) return;
    if (is_option(word)) {
      read_option(word, before_verb, reader, command);
      continue;
    }
    if (is_absent_verb(word))
      refuse(word, "not carried out by this runtime: it needs cgroups or checkpoints, and makes neither");
    const VerbName* const found = find_verb(word);
    if (found == nullptr) refuse(word, "unknown command; see --help");
    command.verb = found->verb;
    read_after_verb(reader, command);
    check_choice("--log-format", command.log_format, "text", "json");
    if (!command.format.empty()) check_choice("--format", command.format, "table", "json");
    return;
  }
  throw Failure("no command; see --help");
}

Command decode_command(const std::vector<std::string>& words) {
  Command command;
  decode_command(words, command);
  return command;
}

std::vector<std::string> encode(const Command& command) {
  std::vector<std::string> words;
  write_options(command, before_verb, words);
  const auto* const verb = std::ranges::find(verb_names, command.verb, &VerbName::verb);
  if (verb == verb_names.end()) {
    words.emplace_back(command.verb == Verb::version ? "--version" : "--help");
    return words;
  }
  words.emplace_back(verb->name);
  write_options(command, of(command.verb), words);
  if (!command.id.empty()) words.push_back(command.id);
  if (command.verb == Verb::kill) words.push_back(command.signal);
  words.insert(words.end(), command.args.begin(), command.args.end());
  return words;
}

std::string usage(std::optional<Verb> verb) {
  if (verb) {
    const auto* const found = std::ranges::find(verb_names, *verb, &VerbName::verb);
    return "Usage: runtime-shim [OPTIONS] " + std::string(found->name) + " [OPTIONS] " +
           std::string(found->operands) + "\n\n" + std::string(found->does) + "\n\n" + help_lines(of(*verb));
  }
  std::string text = "Usage: runtime-shim [OPTIONS] COMMAND [OPTIONS] [ID]\n\nCommands:\n";
  for (const VerbName& each : verb_names) {
    std::string left = "  " + std::string(each.name);
    left.resize(14, ' ');
    text += left + std::string(each.does) + '\n';
  }
  return text + "\nOptions:\n" + help_lines(before_verb);
}

std::optional<int> parse_signal(std::string_view text) {
  if (const auto number = parse_decimal(text, 64)) return static_cast<int>(*number);
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c; });
  text = upper;
  if (text.starts_with("SIG")) text.remove_prefix(3);
  for (int number = 1; number < 32; ++number) {
    const char* const name = ::sigabbrev_np(number);
    if (name != nullptr && text == name) return number;
  }
  for (const auto& [name, base] : {std::pair("RTMIN", SIGRTMIN), std::pair("RTMAX", SIGRTMAX)}) {
    if (!text.starts_with(name)) continue;
    std::string_view offset = text.substr(5);
    if (offset.empty()) return base;
    const bool down = offset[0] == '-';
    if (!down && offset[0] != '+') return std::nullopt;
    const auto by = parse_decimal(offset.substr(1), 64);
    if (!by) return std::nullopt;
    const int number = base + (down ? -1 : 1) * static_cast<int>(*by);
    if (number < SIGRTMIN || number > SIGRTMAX) return std::nullopt;
    return number;
  }
  return std::nullopt;
}

}  // namespace fdchain::oci
