// The monitor, conmon's part of the chain.

#include <optional>

#include "fdchain/model/failure.h"
#include "fdchain/model/variables.h"
#include "fdchain/plan/edits/asked.h"
#include "fdchain/program/announcement.h"
#include "fdchain/program/caller.h"
#include "fdchain/program/checkpoint.h"
#include "fdchain/program/guard.h"
#include "fdchain/program/log.h"
#include "fdchain/system/fd/handshake.h"
#include "fdchain/system/trace/arrival.h"
#include "fdchain/system/trace/trace_file.h"
#include "monitor/conmon/foreground.h"
#include "monitor/dialect.h"
#include "monitor/native/options.h"
#include "monitor/native/supervisor.h"

namespace fdchain {
namespace {

std::optional<OwnedFd> take_pipe(const Environment& environment, std::string_view name, int lowest) {
  const auto number = handshake_number(environment, name);
  return number ? std::optional(take_handshake_fd(*number, name, lowest)) : std::nullopt;
}

void check_pipes_differ(const Environment& environment) {
  const auto sync = handshake_number(environment, sync_pipe_name);
  if (!sync || sync != handshake_number(environment, start_pipe_name)) return;
  throw Failure(std::string(start_pipe_name) + '=' + std::to_string(*sync) +
                ": the number of the sync pipe too");
}

void check_runtime_sync_fd(int number, int lowest) {
  if (number < 0 || number >= lowest) return;
  throw Failure("--runtime-sync-fd " + std::to_string(number) +
                ": stdio or a descriptor to pass on is there");
}

// --preserve-fds must not reach into the handshake: a runtime that held the sync pipe would keep it from
// ending.
void check_preserve_range(const Environment& environment, const AcceptedFds& accepted) {
  for (const auto name : {sync_pipe_name, start_pipe_name}) {
    const auto number = handshake_number(environment, name);
    if (!number || *number >= accepted.sockets.end() + accepted.preserved) continue;
    throw Failure("--preserve-fds " + std::to_string(accepted.preserve_fds) + ": reaches " +
                  std::string(name) + '=' + std::to_string(*number));
  }
}

std::vector<int> pipe_numbers(const Environment& environment) {
  std::vector<int> numbers;
  for (const auto name : {sync_pipe_name, start_pipe_name}) {
    if (const auto number = handshake_number(environment, name)) numbers.push_back(*number);
  }
  return numbers;
}

int run(Arrival arrival, Caller& caller, const std::vector<std::string>& words) {
  checkpoint(arrival.environment, Hop::monitor, Moment::arrival);
  log::start(Hop::monitor);
  const auto options = parse_monitor_options(words);
  if (!options) return 0;
  if (options->replace_listen_pid) take_as_own(arrival);
  const auto pipes = pipe_numbers(arrival.environment);
  const AskedEdits asked = asked_edits(arrival.environment);
  const AcceptedFds accepted =
      accept_as(asked.profiles.of(Hop::monitor), arrival, options->preserve_fds, pipes);
  check_preserve_range(arrival.environment, accepted);
  check_runtime_sync_fd(options->runtime_sync_fd, accepted.sockets.end() + accepted.preserved);
  check_pipes_differ(arrival.environment);
  auto start_pipe = take_pipe(arrival.environment, start_pipe_name, accepted.sockets.end());
  Supervisor supervisor(*options, std::move(arrival), asked, accepted, caller);
  if (start_pipe && !supervisor.wait_for_go(std::move(*start_pipe))) return exit_status::hop_failed;
  return supervisor.run();
}

}  // namespace
}  // namespace fdchain

int main(int argc, char** argv) {
  using namespace fdchain;
  return guarded(Hop::monitor, [&] {
    Arrival arrival = arrive(Hop::monitor, is_observed());
    if (arrival.record) Trace(arrival.environment).append(*arrival.record);
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (is_conmon_command_line(words)) return run_as_conmon(std::move(arrival), words);
    Caller caller(Hop::monitor, take_pipe(arrival.environment, sync_pipe_name, arrival.window.end()));
    return guarded([&] { return run(std::move(arrival), caller, words); },
                   [&](std::string_view text, int status) { caller.tell_failure(text, status); });
  });
}
