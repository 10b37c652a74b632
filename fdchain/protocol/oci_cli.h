// The command line of an OCI runtime, as conmon and podman write it and as crun and runc read it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fdchain::oci {

enum class Verb { create, start, run, exec, state, kill, remove, list, ps, features, spec, version, help };

/// One call of a runtime.
struct Command {
  Verb verb = Verb::help;
  std::optional<Verb> help_about;  ///< with `help`: of this verb

  // Before the verb.
  std::string root;                 ///< where the states are; empty: the default
  std::string log;                  ///< empty: stderr
  std::string log_format = "text";  ///< or json
  bool debug = false;
  std::string cgroup_manager;   ///< disabled: limits are not wanted
  bool systemd_cgroup = false;  ///< which manager is to make the cgroup that is not made
  std::string rootless;         ///< found out by itself; accepted for crun's and runc's callers
  bool strict = false;          ///< ours: refuse what would be ignored

  std::string id;
  std::vector<std::string> args;  ///< exec: the program with its arguments

  std::string bundle = ".";
  std::string config_file = "config.json";
  std::string pid_file;
  std::string console_socket;
  int preserve_fds = 0;
  bool detach = false;
  bool keep = false;
  bool no_pivot = false;
  bool no_new_keyring = false;
  bool no_subreaper = false;  ///< crun's; this runtime never is one
  bool force = false;
  bool all = false;
  bool quiet = false;
  std::string format;  ///< table or json
  std::string signal = "TERM";

  // exec.
  std::string process_file;
  bool tty = false;
  bool no_new_privileges = false;
  std::string cwd;
  std::string user;
  std::string apparmor;
  std::string process_label;
  std::string cgroup;
  std::vector<std::string> additional_gids;
  std::vector<std::string> env;
  std::vector<std::string> capabilities;

  std::string file;  ///< spec: where to write

  friend bool operator==(const Command&, const Command&) = default;
};

/// Whether the words after the program's name speak this dialect: a verb or one of its options comes first.
/// `--` never stands before a verb here, so what follows one is the native dialect's.
bool is_command_line(const std::vector<std::string>& words);

/// The verb among the words of some runtime's command line, its name first; empty where there is none. A
/// script's own path may stand before them, and options of any runtime.
std::string verb_in(const std::vector<std::string>& words);

/// Reads such a command line. Options are taken before and after the id; the program of `exec` keeps its own.
///
/// Throws Failure naming the word that is wrong; `command` then has what stood before it, such as --log.
void decode_command(const std::vector<std::string>& words, Command& command);
Command decode_command(const std::vector<std::string>& words);

/// The words after the program's name, so that decode_command() gives the same.
std::vector<std::string> encode(const Command& command);

/// `runtime-shim --help`, or the help about one verb.
std::string usage(std::optional<Verb> verb);

/// The number of a signal: `9`, `KILL`, `sigkill`, `RTMIN+1`; 0 for the question whether there is somebody.
std::optional<int> parse_signal(std::string_view text);

}  // namespace fdchain::oci
