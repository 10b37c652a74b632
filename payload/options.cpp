#include "payload/options.h"

#include "fdchain/model/failure.h"
#include "fdchain/model/printable.h"
#include "fdchain/program/options.h"

namespace fdchain {
namespace {

namespace po = boost::program_options;

constexpr std::string_view usage =
    "Usage: payload [echo|report|hold] [OPTIONS]\n\n"
    "A socket-activated service. It adopts the sockets of LISTEN_FDS by the rules of sd_listen_fds(3), or "
    "the one it was given as stdin by an inetd.\n\n"
    "echo\tsend back whatever any of them receives (the default)\n"
    "report\tprint what arrived as JSON, and exit\n"
    "hold\tkeep everything open until a signal\n";

constexpr int bad_usage = 1;

PayloadOptions::Mode take_mode(std::vector<std::string>& words) {
  using enum PayloadOptions::Mode;
  if (words.empty() || words.front().starts_with('-')) return echo;
  const std::string word = words.front();
  words.erase(words.begin());
  if (word == "echo") return echo;
  if (word == "report") return report;
  if (word == "hold") return hold;
  throw Failure("'" + printable(word) + "' is not one of echo, report, hold");
}

po::options_description describe(PayloadOptions& options) {
  po::options_description own("Options");
  own.add_options()  //
      ("idle-timeout", po::value(&options.idle_timeout)->value_name("SECONDS"),
       "echo: exit after so long without a client")                                                        //
      ("exit-code", po::value(&options.exit_code)->value_name("N"), "exit with this status instead of 0")  //
      ("once", po::bool_switch(&options.once), "echo: exit when the first client has been served")         //
      ("sdnotify", po::bool_switch(&options.sdnotify),
       "echo, hold: tell systemd STATUS=, WATCHDOG=1 and STOPPING=1 too; READY=1 is told whenever "
       "NOTIFY_SOCKET is set");
  return own.add(common_options());
}

}  // namespace

std::optional<PayloadOptions> parse_payload_options(const std::vector<std::string>& given) try {
  PayloadOptions options;
  std::vector<std::string> words = given;
  options.mode = take_mode(words);
  const auto description = describe(options);
  const CommandLine command_line = parse_command_line(words, description);
  if (answered(command_line, Hop::payload, usage, description)) return std::nullopt;
  if (!command_line.rest.empty())
    throw Failure("'" + printable(command_line.rest.front()) + "' is one word too many");
  check_range("--idle-timeout", options.idle_timeout, 0, longest_timeout);
  check_range("--exit-code", options.exit_code, 0, 255);
  return options;
} catch (const Failure& failure) {
  // The numbers from 124 are the chain's, and this is a service like any other.
  throw Failure(failure.what(), bad_usage);
}

}  // namespace fdchain
