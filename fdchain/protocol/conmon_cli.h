// conmon's command line: what podman, CRI-O and our launcher say to a conmon, and what ours understands.
//
// conmon 2.1.6 with what 2.2 added. It is read as GLib's GOption does: `--name VALUE`, `--name=VALUE`, `-n
// VALUE`, flags in one word (`-ti`), words that are no option are passed over, an unknown option ends it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fdchain {

/// A conmon command line as a value. An option that was not given is empty; of one given twice the last
/// counts.
struct ConmonOptions {
  using Text = std::optional<std::string>;
  using Texts = std::vector<std::string>;
  using Count = std::optional<std::int64_t>;

  bool api_version = false;  ///< a flag: the `1` that podman puts behind it is a word that is passed over
  Text cid;
  Text cuuid;
  Text runtime;
  Text bundle;
  Text container_pidfile;
  Text name;
  Text exit_dir;
  Text persist_dir;
  bool full_attach = false;
  Texts runtime_args;
  bool systemd_cgroup = false;
  Texts log_paths;
  Text log_level;
  bool syslog = false;
  Count log_size_max;
  Count log_global_size_max;
  Text log_tag;
  Texts log_labels;
  bool no_container_partial_message = false;
  bool log_rotate = false;
  Count log_max_files;
  Texts log_allowlist_dirs;
  bool no_sync_log = false;
  Text sdnotify_socket;
  bool terminal = false;
  bool in = false;  ///< --stdin
  bool leave_stdin_open = false;
  Count timeout;
  bool no_new_keyring = false;
  Text conmon_pidfile;
  bool no_pivot = false;
  bool exec = false;
  bool exec_attach = false;
  Text exec_process_spec;
  bool replace_listen_pid = false;
  Text restore;
  Text exit_command;
  Texts exit_command_args;
  Count exit_delay;
  Text socket_dir_path;
  bool sync = false;
  Text seccomp_notify_socket;
  Text seccomp_notify_plugins;
  Texts runtime_opts;
  bool version = false;
  bool help = false;

  friend bool operator==(const ConmonOptions&, const ConmonOptions&) = default;
};

/// Why conmon refuses a command line. It exits with status 1.
struct ConmonRefusal {
  std::string text;
  bool on_stdout = false;  ///< what GOption refuses is said on stdout, as conmon 2.1 does

  friend bool operator==(const ConmonRefusal&, const ConmonRefusal&) = default;
};

/// Reads the words after the program's name. --help ends the reading where it stands, as in conmon.
std::variant<ConmonOptions, ConmonRefusal> parse_conmon_options(const std::vector<std::string>& words);

/// The words that parse_conmon_options() reads as `options`, in the order in which podman gives them.
std::vector<std::string> encode(const ConmonOptions& options);

/// What conmon asks of its options beyond their form, in its order; nothing when it would go on.
/// `why_not_runnable` says of the runtime's path why it cannot be run, and nothing when it can.
using WhyNotRunnable = std::function<std::optional<std::string>(const std::string& path)>;
std::optional<ConmonRefusal> check_conmon_options(const ConmonOptions& options,
                                                  const WhyNotRunnable& why_not_runnable);

/// Where a container's output goes, as --log-path says. Several may be given.
struct ConmonLogs {
  std::optional<std::string> k8s_file;
  bool journald = false;
  bool passthrough = false;

  friend bool operator==(const ConmonLogs&, const ConmonLogs&) = default;
};

/// Reads --log-path: `k8s-file:PATH`, `PATH`, `:PATH`, `journald`, `none` (`off`, `null`), `passthrough`; and
/// refuses what does not go with it.
///
/// Where conmon cuts a path at its first colon, the whole path is taken.
std::variant<ConmonLogs, ConmonRefusal> parse_conmon_logs(const ConmonOptions& options);

/// What conmon refuses only when it has come so far, after its `[conmon:e]: `.
ConmonRefusal conmon_refusal(std::string_view text);

/// Whether `word` is an option of conmon's, one of unknown value included: `--cid`, `--cid=x`, `-c`, `-ti`.
bool is_conmon_option(std::string_view word);

/// Its options, a line each: the option, a tab, what it means.
std::string conmon_option_help();

/// What --help prints.
std::string conmon_help();

/// What --version prints. podman up to 4.3 reads the first line, and wants 2.0.1 at least; the second says
/// whom a bug report is for.
std::string conmon_version(std::string_view own_version);

/// How many descriptors from 3 upwards the command line announces for the container: the number that follows
/// `--preserve-fds` among the options for the runtime.
int announced_fds(const ConmonOptions& options);

/// The runtime's command line, program first. `console_socket` is empty without a terminal.
std::vector<std::string> runtime_command(const ConmonOptions& options, const std::string& bundle,
                                         const std::string& pidfile, const std::string& console_socket);

}  // namespace fdchain
