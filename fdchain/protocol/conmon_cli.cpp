#include "fdchain/protocol/conmon_cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <utility>

#include "fdchain/protocol/cli.h"

namespace fdchain {
namespace {

// The journal's CONTAINER_ID; an id has to be longer.
constexpr std::size_t journal_short_id = 12;

using Option = cli::Option<ConmonOptions>;
using O = ConmonOptions;

// In the order in which podman gives them; what it does not give is where it fits.
constexpr std::array known_options{
    Option{"api-version", 0, &O::api_version, "Answer with the key `data`, and know attached exec sessions"},
    Option{"cid", 'c', &O::cid, "ID of the container"},
    Option{"cuuid", 'u', &O::cuuid, "UUID of the container"},
    Option{"runtime", 'r', &O::runtime, "Path of the OCI runtime"},
    Option{"bundle", 'b', &O::bundle, "Directory of the OCI bundle"},
    Option{"container-pidfile", 'p', &O::container_pidfile,
           "File to which the runtime writes the container's pid"},
    Option{"pidfile", 0, &O::container_pidfile, "The same, under its old name"},
    Option{"name", 'n', &O::name, "Name of the container"},
    Option{"exit-dir", 0, &O::exit_dir, "Directory for the file with the exit status"},
    Option{"persist-dir", '0', &O::persist_dir, "Directory for exit and oom files that outlive a reboot"},
    Option{"full-attach", 0, &O::full_attach,
           "Put the attach socket into the bundle; ignore --socket-dir-path"},
    Option{"runtime-arg", 0, &O::runtime_args, "Option for the runtime, before its subcommand; repeatable"},
    Option{"systemd-cgroup", 's', &O::systemd_cgroup, "Pass --systemd-cgroup on to the runtime"},
    Option{"log-path", 'l', &O::log_paths,
           "Where the output goes: [k8s-file:]PATH, journald, passthrough or none; repeatable"},
    Option{"log-level", 0, &O::log_level, "error, fatal, panic, warn, warning, info, debug or trace"},
    Option{"syslog", 0, &O::syslog, "Log to syslog too"},
    Option{"log-size-max",
           0,
           &O::log_size_max,
           "Size at which the log starts anew",
           {},
           cli::anywhere,
           INT64_MIN,
           INT64_MAX},
    Option{"log-global-size-max",
           0,
           &O::log_global_size_max,
           "Size after which nothing is logged any more",
           {},
           cli::anywhere,
           INT64_MIN,
           INT64_MAX},
    Option{"log-tag", 0, &O::log_tag, "CONTAINER_TAG in the journal"},
    Option{"log-label", 0, &O::log_labels, "Another field in the journal, NAME=VALUE; repeatable"},
    Option{"no-container-partial-message", 0, &O::no_container_partial_message,
           "Do not set CONTAINER_PARTIAL_MESSAGE in the journal"},
    Option{"log-rotate", 0, &O::log_rotate, "Keep old logs as FILE.1 and so on, where the size is limited"},
    Option{"log-max-files", 0, &O::log_max_files, "How many of them to keep"},
    Option{"log-allowlist-dir", 0, &O::log_allowlist_dirs,
           "Only write logs below this directory; repeatable"},
    Option{"no-sync-log", 0, &O::no_sync_log, "Do not fsync the log at the end"},
    Option{"sdnotify-socket", 0, &O::sdnotify_socket, "The host's notify socket, to which to relay"},
    Option{"terminal", 't', &O::terminal, "The container has a terminal"},
    Option{"stdin", 'i', &O::in, "The container has a stdin, which attached clients write to"},
    Option{"leave-stdin-open", 0, &O::leave_stdin_open, "Do not close it when a client has no more to say"},
    Option{"timeout", 'T', &O::timeout, "Kill the container after so many seconds"},
    Option{"no-new-keyring", 0, &O::no_new_keyring, "Pass --no-new-keyring on to the runtime"},
    Option{"conmon-pidfile", 'P', &O::conmon_pidfile, "File for the pid of the monitor itself"},
    Option{"no-pivot", 0, &O::no_pivot, "Pass --no-pivot on to the runtime"},
    Option{"exec", 'e', &O::exec, "Run another process in a container that runs"},
    Option{"exec-attach", 0, &O::exec_attach, "A client will attach to that process before it starts"},
    Option{"exec-process-spec", 0, &O::exec_process_spec, "File that describes that process"},
    Option{"replace-listen-pid", 0, &O::replace_listen_pid,
           "Make LISTEN_PID, if it is set, the runtime's pid"},
    Option{"restore", 0, &O::restore, "Restore the container from this checkpoint"},
    Option{"exit-command", 0, &O::exit_command, "Program to run when the container has ended"},
    Option{"exit-command-arg", 0, &O::exit_command_args, "Argument of that program; repeatable"},
    Option{"exit-delay", 0, &O::exit_delay, "Seconds to wait before it"},
    Option{"socket-dir-path", 0, &O::socket_dir_path, "Directory for links to attach sockets"},
    Option{"sync", 0, &O::sync, "Stay in the foreground, and exit with the container's status"},
    Option{"seccomp-notify-socket", 0, &O::seccomp_notify_socket, "Where seccomp notifications come"},
    Option{"seccomp-notify-plugins", 0, &O::seccomp_notify_plugins, "Plugins that answer them"},
    Option{"runtime-opt", 0, &O::runtime_opts, "Option for the runtime's subcommand; repeatable"},
    Option{"restore-arg", 0, &O::runtime_opts, "The same, under its old name"},
    Option{"version", 0, &O::version, "Print the version and exit"},
    Option{"help", 'h', &O::help, "Print this and exit"},
    Option{"help-all", '?', &O::help, "The same"},
};

ConmonRefusal refuse_words(std::string text) {
  return {"conmon: option parsing failed: " + std::move(text), true};
}

// conmon puts a colon behind it where its message has a value in it.
ConmonRefusal refuse(std::string_view text) { return {"[conmon:e] " + std::string(text), false}; }

struct Refused {
  ConmonRefusal refusal;
};

// As strtol(3) reads with base 0: blanks and a sign may come first, 0x and 0 choose the base.
std::int64_t read_count(const Option& option, const std::string& value, const std::string& typed) {
  char* end = nullptr;
  errno = 0;
  const long long number = std::strtoll(value.c_str(), &end, 0);
  if (value.empty() || *end != '\0')
    throw Refused{refuse_words(fmt::format("Cannot parse integer value \"{}\" for {}", value, typed))};
  if (errno == ERANGE || number < option.least || number > option.most)
    throw Refused{refuse_words(fmt::format("Integer value \"{}\" for {} out of range", value, typed))};
  return number;
}

/// Puts what an option says into a value.
class Taker {
 public:
  explicit Taker(ConmonOptions& options) : options_(options) {}

  // --help ends the reading where it stands.
  bool take(const Option& option, const std::string& value, const std::string& typed) {
    const auto put = [&](auto member) { assign(options_.*member, option, value, typed); };
    std::visit(put, option.member);
    return !options_.help;
  }

  [[noreturn]] static void refuse(cli::Trouble trouble, const std::string& word, const std::string& typed) {
    switch (trouble) {
      case cli::Trouble::unknown_option: throw Refused{refuse_words("Unknown option " + word)};
      case cli::Trouble::missing_value: throw Refused{refuse_words("Missing argument for " + typed)};
      case cli::Trouble::second_value: break;
    }
    throw Refused{refuse_words("Error parsing option " + typed)};
  }

 private:
  static void assign(bool& flag, const Option&, const std::string&, const std::string&) { flag = true; }
  static void assign(ConmonOptions::Text& text, const Option&, const std::string& value, const std::string&) {
    text = value;
  }
  static void assign(ConmonOptions::Texts& texts, const Option&, const std::string& value,
                     const std::string&) {
    texts.push_back(value);
  }
  static void assign(ConmonOptions::Count& count, const Option& option, const std::string& value,
                     const std::string& typed) {
    count = read_count(option, value, typed);
  }
  static void assign(auto&, const Option&, const std::string&, const std::string&) {}  // no such member here

  ConmonOptions& options_;
};

bool is_known_level(std::string_view level) {
  static constexpr std::array<std::string_view, 8> levels{"error",   "fatal", "panic", "warn",
                                                          "warning", "info",  "debug", "trace"};
  return std::ranges::any_of(levels, [&](std::string_view known) {
    return std::ranges::equal(known, level,
                              [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
  });
}

std::optional<ConmonRefusal> read_log_path(const std::string& value, ConmonLogs& logs) {
  if (value.empty() || value == ":") return conmon_refusal("log-path must not be empty");
  const std::size_t colon = value.find(':');
  const std::string driver = colon == 0 ? "k8s-file" : value.substr(0, colon);
  const std::string path = colon == std::string::npos ? "" : value.substr(colon + 1);
  if (driver == "off" || driver == "null" || driver == "none") return std::nullopt;
  if (driver == "passthrough") {
    logs.passthrough = true;
  } else if (driver == "journald") {
    logs.journald = true;
  } else if (driver == "k8s-file") {
    if (path.empty()) return conmon_refusal("k8s-file requires a filename");
    logs.k8s_file = path;
  } else if (colon == std::string::npos) {
    logs.k8s_file = driver;
  } else {
    return conmon_refusal("No such log driver " + driver);
  }
  return std::nullopt;
}

std::optional<ConmonRefusal> check_label(const std::string& label) {
  static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  const std::string typed = '\'' + label + "')";
  if (label.starts_with('='))
    return conmon_refusal("Container labels must be in format LABEL=VALUE (no LABEL present in " + typed);
  if (std::ranges::count(label, '=') != 1)
    return conmon_refusal(
        "Container labels must be in format LABEL=VALUE (none or more than one '=' present in " + typed);
  if (label.find_first_not_of(letters) != label.find('='))
    return conmon_refusal(
        "Container label names must contain only uppercase letters, numbers and underscore (in " + typed);
  return std::nullopt;
}

// Asked before anything else, and said without the prefix.
std::optional<ConmonRefusal> check_rotation(const ConmonOptions& options) {
  const std::int64_t files = options.log_max_files.value_or(1);
  if (files < 0)
    return ConmonRefusal{fmt::format("conmon: log-max-files must be non-negative, got {}", files)};
  if (options.log_rotate && files == 0)
    return ConmonRefusal{"conmon: log-max-files must be at least 1 when log-rotate is enabled, got 0"};
  return std::nullopt;
}

// What an option is followed by in the help.
std::string_view value_name(const Option& option) {
  if (option.is_flag()) return "";
  return std::holds_alternative<ConmonOptions::Count ConmonOptions::*>(option.member) ? "=N" : "=TEXT";
}

}  // namespace

std::variant<ConmonOptions, ConmonRefusal> parse_conmon_options(const std::vector<std::string>& words) {
  ConmonOptions options;
  Taker taker(options);
  cli::Words left(words);
  cli::OptionReader<ConmonOptions, Taker> reader(known_options, {false, false}, left, taker);
  try {
    while (!left.at_end() && !options.help) {
      const std::string& word = left.take();
      if (word == "--") break;
      // GOption hands an operand back, and conmon does not look.
      if (cli::is_option(word)) reader.read(word);
    }
  } catch (const Refused& refused) {
    return refused.refusal;
  }
  return options;
}

std::vector<std::string> encode(const ConmonOptions& value) {
  std::vector<std::string> words;
  cli::write_options<ConmonOptions>(known_options, value, {}, cli::anywhere, words);
  return words;
}

std::optional<ConmonRefusal> check_conmon_options(const ConmonOptions& options,
                                                  const WhyNotRunnable& why_not_runnable) {
  const bool legacy = !options.api_version;
  if (const auto refusal = check_rotation(options)) return refusal;
  if (!options.cid) return ConmonRefusal{"conmon: Container ID not provided. Use --cid", false};
  if (options.log_level && !is_known_level(*options.log_level))
    return conmon_refusal("No such log level " + *options.log_level);
  if (options.restore && options.exec) return refuse("Cannot use 'exec' and 'restore' at the same time");
  if (!options.exec && options.exec_attach) return refuse("Attach can only be specified with exec");
  if (legacy && options.exec_attach)
    return refuse("Attach can only be specified for a non-legacy exec session");
  // The old exec protocol had none.
  if (!options.cuuid && (!options.exec || !legacy)) return refuse("Container UUID not provided. Use --cuuid");
  if (!options.runtime) return refuse("Runtime path not provided. Use --runtime");
  if (const auto why = why_not_runnable(*options.runtime))
    return conmon_refusal("Runtime path " + *options.runtime + " is not valid " + *why);
  if (options.exec && !options.exec_process_spec)
    return refuse("Exec process spec path not provided. Use --exec-process-spec");
  if (options.exit_delay.value_or(0) < 0)
    return refuse("Delay before invoking exit command must be greater than or equal to 0");
  return std::nullopt;
}

std::variant<ConmonLogs, ConmonRefusal> parse_conmon_logs(const ConmonOptions& options) {
  ConmonLogs logs;
  if (options.log_paths.empty()) return refuse("Log driver not provided. Use --log-path");
  for (const std::string& value : options.log_paths) {
    if (const auto refusal = read_log_path(value, logs)) return *refusal;
  }
  if (logs.k8s_file && !logs.journald && options.log_tag) return refuse("k8s-file doesn't support --log-tag");
  if (logs.k8s_file && !logs.journald && !options.log_labels.empty())
    return refuse("k8s-file doesn't support --log-label");
  if (logs.journald && options.cuuid.value_or("").size() <= journal_short_id)
    return refuse("Container ID must be longer than 12 characters");
  if (!logs.journald) return logs;
  for (const std::string& label : options.log_labels) {
    if (const auto refusal = check_label(label)) return *refusal;
  }
  return logs;
}

ConmonRefusal conmon_refusal(std::string_view text) { return {"[conmon:e]: " + std::string(text), false}; }

bool is_conmon_option(std::string_view word) {
  if (!cli::is_option(word)) return false;
  if (word.starts_with("--"))
    return cli::find_long<ConmonOptions>(known_options, cli::name_in(word)) != nullptr;
  return std::ranges::all_of(word.substr(1), [](char letter) {
    return cli::find_letter<ConmonOptions>(known_options, letter) != nullptr;
  });
}

std::string conmon_option_help() {
  std::string text;
  for (const Option& option : known_options) {
    const std::string letter = option.letter == 0 ? "    " : std::string("-") + option.letter + ", ";
    text += fmt::format("{}--{}{}\t{}\n", letter, option.name, value_name(option), option.help);
  }
  return text;
}

std::string conmon_help() {
  return "Usage:\n  monitor [OPTION...]  in the dialect of conmon\n\nOptions:\n" + conmon_option_help();
}

std::string conmon_version(std::string_view own_version) {
  return fmt::format("conmon version 2.1.6\ncommit: fdchain {}, whose monitor speaks as conmon 2.1.6 does\n",
                     own_version);
}

int announced_fds(const ConmonOptions& options) {
  static constexpr std::string_view name = "--preserve-fds";
  static constexpr std::int64_t most = 1 << 20;
  std::int64_t count = 0;
  const auto read = [&](const std::string& text) {
    char* end = nullptr;
    const long long number = std::strtoll(text.c_str(), &end, 10);
    if (!text.empty() && *end == '\0') count = std::clamp<std::int64_t>(number, 0, most);
  };
  for (std::size_t i = 0; i < options.runtime_opts.size(); ++i) {
    const std::string& word = options.runtime_opts[i];
    if (word == name && i + 1 < options.runtime_opts.size()) read(options.runtime_opts[++i]);
    if (word.starts_with(name) && word.size() > name.size() && word[name.size()] == '=')
      read(word.substr(name.size() + 1));
  }
  return static_cast<int>(count);
}

std::vector<std::string> runtime_command(const ConmonOptions& options, const std::string& bundle,
                                         const std::string& pidfile, const std::string& console_socket) {
  std::vector<std::string> words{options.runtime.value_or("")};
  const auto add = [&](std::initializer_list<std::string> more) {
    words.insert(words.end(), more.begin(), more.end());
  };
  if (!options.exec && options.systemd_cgroup) add({"--systemd-cgroup"});
  words.insert(words.end(), options.runtime_args.begin(), options.runtime_args.end());
  if (options.exec) {
    add({"exec", "--pid-file", pidfile, "--process", options.exec_process_spec.value_or(""), "--detach"});
    if (options.terminal) add({"--tty"});
  } else {
    add({options.restore ? "restore" : "create", "--bundle", bundle, "--pid-file", pidfile});
    if (options.no_pivot) add({"--no-pivot"});
    if (options.no_new_keyring) add({"--no-new-keyring"});
    if (options.restore) add({"--detach", "--image-path", *options.restore, "--work-path", bundle});
  }
  words.insert(words.end(), options.runtime_opts.begin(), options.runtime_opts.end());
  if (!console_socket.empty()) add({"--console-socket", console_socket});
  words.push_back(options.cid.value_or(""));
  return words;
}

}  // namespace fdchain
