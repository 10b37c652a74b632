#include "monitor/native/options.h"

#include <unistd.h>

#include <climits>

#include "fdchain/model/failure.h"
#include "fdchain/program/help.h"
#include "fdchain/program/options.h"
#include "fdchain/program/terminal.h"
#include "fdchain/protocol/conmon_cli.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

constexpr std::string_view usage =
    "Usage: monitor [OPTIONS] [--] RUNTIME [ARG...]\n\n"
    "conmon's part of the chain: runs RUNTIME in a process of its own, passes it the sockets of LISTEN_FDS "
    "at the numbers they have, keeps its output, reaps what it leaves and publishes its exit status. The "
    "launcher "
    "starts it; it also runs alone.\n";

constexpr std::string_view conmon_part =
    "\nIn the dialect of conmon, which an option that only conmon has makes it speak:\n";

po::options_description describe(MonitorOptions& options, std::string& log) {
  po::options_description own("Options");
  own.add_options()                                                                                  //
      ("log", po::value(&log)->value_name("TARGET")->default_value("passthrough"), log_target_help)  //
      ("timeout", po::value(&options.timeout)->value_name("SECONDS"),
       "kill the payload with SIGKILL when that time is over; its status is then 124")  //
      ("exit-file", po::value(&options.exit_file)->value_name("FILE"),
       "write the exit status to FILE, whole or not at all")  //
      ("preserve-fds", po::value(&options.preserve_fds)->value_name("N"),
       "pass on N descriptors after the sockets")  //
      ("runtime-sync-fd", po::value<int>()->value_name("FD")->notifier([&options](int number) {
        check_range("--runtime-sync-fd", number, 0, INT_MAX);
        options.runtime_sync_fd = number;
      }),
       "give RUNTIME a sync pipe at this number; it has to be told the same")  //
      ("replace-listen-pid", po::bool_switch(&options.replace_listen_pid),
       "take the sockets whomever LISTEN_PID names, and rewrite it")                           //
      ("no-stdin", po::bool_switch(&options.no_stdin), "give the payload /dev/null as stdin")  //
      ("remove-path", po::value(&options.remove_paths)->value_name("PATH"),
       "remove PATH when the payload has ended, if it is what it was at the start; repeatable")  //
      ("remove-queue", po::value(&options.remove_queues)->value_name("NAME"),
       "the same for a POSIX message queue");
  return own.add(common_options());
}

}  // namespace

std::optional<MonitorOptions> parse_monitor_options(const std::vector<std::string>& words) {
  MonitorOptions options;
  std::string log;
  const auto description = describe(options, log);
  const CommandLine command_line = parse_command_line(words, description);
  if (answered(command_line, Hop::monitor, usage, description)) {
    // Callers of conmon's look there for what it can do.
    if (command_line.options.count("version") == 0)
      write_all_patiently(STDOUT_FILENO,
                          help_text(std::string(conmon_part) + conmon_option_help(),
                                    columns_of(STDOUT_FILENO, usual_help_columns)),
                          "stdout");
    return std::nullopt;
  }
  options.log = parse_log_target(log);
  options.runtime = command_line.rest;
  check_range("--timeout", options.timeout, 0, longest_timeout);
  check_range("--preserve-fds", options.preserve_fds, 0, most_preserved_fds);
  if (options.runtime.empty()) throw Failure("no RUNTIME to run; see --help");
  return options;
}

}  // namespace fdchain
