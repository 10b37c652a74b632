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
#include "fdchain/protocol/cli.h"

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

using Option = cli::Option<Command>;

constexpr std::array options{
    Option{
        "root", 0, &Command::root,
        "where the states are kept; default /run/fdchain, or $XDG_RUNTIME_DIR/fdchain for an ordinary user",
        "DIR", before_verb},
    Option{"log", 0, &Command::log, "append errors and warnings to FILE; default stderr", "FILE",
           before_verb},
    Option{"log-format", 0, &Command::log_format, "text or json", "FORMAT", before_verb},
    Option{"debug", 0, &Command::debug, "log what is done, too", "", before_verb},
    Option{"cgroup-manager", 0, &Command::cgroup_manager,
           "disabled: limits of config.json are not wanted; others are accepted, none is used", "NAME",
           before_verb},
    Option{"systemd-cgroup", 0, &Command::systemd_cgroup, "accepted; no cgroup is made", "", before_verb},
    Option{"rootless", 0, &Command::rootless, "accepted; found out without it", "VALUE", before_verb},
    Option{"strict", 0, &Command::strict, "refuse what would be ignored with a warning", "", before_verb},
    Option{"bundle", 'b', &Command::bundle, "the directory of config.json; default the current one", "DIR",
           making | of(Verb::spec)},
    Option{"config", 'f', &Command::config_file, "instead of config.json", "FILE", making},
    Option{"pid-file", 0, &Command::pid_file, "write the pid there", "FILE", starting},
    Option{"console-socket", 0, &Command::console_socket, "send the terminal's other end there", "SOCKET",
           starting},
    Option{"preserve-fds", 0, &Command::preserve_fds, "pass on N descriptors, from 3", "N", starting},
    Option{"no-pivot", 0, &Command::no_pivot, "chroot instead of pivot_root", "", making},
    Option{"no-new-keyring", 0, &Command::no_new_keyring, "keep the caller's session keyring", "", making},
    Option{"no-subreaper", 0, &Command::no_subreaper, "accepted; this runtime never is one", "", making},
    Option{"detach", 'd', &Command::detach, "return when it runs", "", of(Verb::run) | of(Verb::exec)},
    Option{"keep", 0, &Command::keep, "leave the container to `delete` when it has ended", "", of(Verb::run)},
    Option{"process", 'p', &Command::process_file, "the process as JSON", "FILE", of(Verb::exec)},
    Option{"tty", 't', &Command::tty, "with a terminal", "", of(Verb::exec)},
    Option{"env", 'e', &Command::env, "set a variable; repeatable", "NAME=VALUE", of(Verb::exec)},
    Option{"cwd", 0, &Command::cwd, "the working directory", "DIR", of(Verb::exec)},
    Option{"user", 'u', &Command::user, "the user, and the group", "UID[:GID]", of(Verb::exec)},
    Option{"additional-gids", 'g', &Command::additional_gids, "one more group; repeatable", "GID",
           of(Verb::exec)},
    Option{"cap", 'c', &Command::capabilities, "add a capability; repeatable", "CAP", of(Verb::exec)},
    Option{"no-new-privs", 0, &Command::no_new_privileges, "no program may give more privileges", "",
           of(Verb::exec)},
    Option{"apparmor", 0, &Command::apparmor, "refused", "PROFILE", of(Verb::exec)},
    Option{"process-label", 0, &Command::process_label, "refused", "LABEL", of(Verb::exec)},
    Option{"cgroup", 0, &Command::cgroup, "refused", "PATH", of(Verb::exec)},
    Option{"force", 'f', &Command::force, "kill it first; an unknown id is no error", "", of(Verb::remove)},
    Option{"all", 'a', &Command::all, "every process of the container", "", of(Verb::kill)},
    Option{"quiet", 'q', &Command::quiet, "ids alone", "", of(Verb::list)},
    Option{"format", 'f', &Command::format, "table or json", "FORMAT", of(Verb::list) | of(Verb::ps)},
    Option{"file", 'f', &Command::file, "write there; default config.json", "FILE", of(Verb::spec)},
};

const VerbName* find_verb(std::string_view word) {
  const auto* const found = std::ranges::find(verb_names, word, &VerbName::name);
  return found == verb_names.end() ? nullptr : found;
}

bool is_absent_verb(std::string_view word) {
  return std::ranges::find(absent_verbs, word) != absent_verbs.end();
}

bool is_verb(std::string_view word) { return find_verb(word) != nullptr || is_absent_verb(word); }

[[noreturn]] void refuse(std::string_view word, std::string_view why) {
  throw Failure(printable(word) + ": " + std::string(why));
}

bool parse_truth(std::string_view word, std::string_view value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  refuse(word, "neither true nor false");
}

/// Puts what an option says into a command.
class Taker {
 public:
  explicit Taker(Command& command) : command_(command) {}

  bool take(const Option& option, const std::string& value, const std::string& typed) {
    const auto put = [&](auto member) { assign(command_.*member, option, value, typed); };
    std::visit(put, option.member);
    return true;
  }

  [[noreturn]] static void refuse(cli::Trouble trouble, const std::string& word, const std::string&) {
    fdchain::oci::refuse(word,
                         trouble == cli::Trouble::missing_value ? "its value is missing" : "unknown option");
  }

 private:
  static void assign(bool& flag, const Option&, const std::string& value, const std::string& typed) {
    flag = parse_truth(typed + '=' + value, value);
  }
  static void assign(int& number, const Option& option, const std::string& value, const std::string&) {
    const auto parsed = parse_decimal(value, most_preserved);
    if (!parsed)
      fdchain::oci::refuse("--" + std::string(option.name) + ' ' + printable(value),
                           "not a number from 0 to 65536");
    number = static_cast<int>(*parsed);
  }
  static void assign(std::string& text, const Option&, const std::string& value, const std::string&) {
    text = value;
  }
  static void assign(std::vector<std::string>& list, const Option&, const std::string& value,
                     const std::string&) {
    list.push_back(value);
  }
  static void assign(auto&, const Option&, const std::string&, const std::string&) {}  // no such member here

  Command& command_;
};

void read_option(const std::string& word, unsigned where, cli::Words& words, Command& command) {
  Taker taker(command);
  cli::OptionReader<Command, Taker>(options, {true, true}, words, taker).read(word, where);
}

bool asks_for_help(std::string_view word) { return word == "--help" || word == "-h" || word == "-?"; }
bool asks_for_version(std::string_view word) { return word == "--version" || word == "-v" || word == "-V"; }

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

void read_after_verb(cli::Words& reader, Command& command) {
  std::vector<std::string> operands;
  while (!reader.at_end()) {
    const std::string& word = reader.take();
    if (asks_for_help(word)) {
      command.help_about = command.verb;
      command.verb = Verb::help;
      return;
    }
    if (word == "--" && (command.verb != Verb::exec || operands.empty())) continue;
    if (cli::is_option(word)) {
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

std::string help_line(const Option& option) {
  std::string left = option.letter != 0 ? std::string("  -") + option.letter + ", " : "      ";
  left += "--" + std::string(option.name);
  if (!option.is_flag()) left += ' ' + std::string(option.value);
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
  cli::Words reader(words);
  bool known = false;  // the native dialect has none of these options: what follows one is this one's to name
  while (!reader.at_end()) {
    const std::string& word = reader.take();
    if (word == "--") return false;
    if (!cli::is_option(word)) return known || is_verb(word);
    if (!word.starts_with("--")) return known || asks_for_version(word);
    const std::size_t equals = word.find('=');
    const Option* const option = cli::find_long<Command>(options, cli::name_in(word), before_verb);
    // --help alone is answered in the native dialect, which points here.
    if (option == nullptr) return known || asks_for_version(word);
    known = true;
    if (!option->is_flag() && equals == std::string::npos) {
      if (reader.at_end()) return true;
      reader.take();
    }
  }
  return false;
}

std::string verb_in(const std::vector<std::string>& words) {
  constexpr std::string_view runcs_own = "--criu";  // before a verb, with a value
  for (std::size_t i = 1; i < words.size() && words[i] != "--"; ++i) {
    if (is_verb(words[i])) return words[i];
    if (!words[i].starts_with("--")) continue;
    const Option* const option = cli::find_long<Command>(options, words[i].substr(2), before_verb);
    if ((option != nullptr && !option->is_flag()) || words[i] == runcs_own) ++i;
  }
  return {};
}

void decode_command(const std::vector<std::string>& words, Command& command) {
  cli::Words reader(words);
  while (!reader.at_end()) {
    const std::string& word = reader.take();
    if (asks_for_version(word)) {
      command.verb = Verb::version;
      return;
    }
    if (asks_for_help(word)) return;
    if (cli::is_option(word) || word == "--") {
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
  cli::write_options<Command>(options, command, Command(), before_verb, words);
  const auto* const verb = std::ranges::find(verb_names, command.verb, &VerbName::verb);
  if (verb == verb_names.end()) {
    words.emplace_back(command.verb == Verb::version ? "--version" : "--help");
    return words;
  }
  words.emplace_back(verb->name);
  cli::write_options<Command>(options, command, Command(), of(command.verb), words);
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
