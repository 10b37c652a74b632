#include "runtime-shim/oci/oci.h"

#include <unistd.h>

#include "fdchain/model/oci_config.h"
#include "fdchain/program/guard.h"
#include "fdchain/system/fs/files.h"
#include "runtime-shim/oci/create.h"
#include "runtime-shim/oci/handed_file.h"
#include "runtime-shim/oci/journal.h"
#include "runtime-shim/oci/manage.h"
#include "runtime-shim/oci/own_executable.h"

namespace fdchain::oci {
namespace {

constexpr int failed = 1;
constexpr int failed_exec = 255;

int print(const std::string& text) {
  write_all_patiently(STDOUT_FILENO, text, "stdout");
  return 0;
}

std::string version() {
  return std::string("runtime-shim version ") + FDCHAIN_VERSION + "\ncommit: fdchain " + FDCHAIN_VERSION +
         "\nspec: " + specification + "\nruntime-shim (fdchain) " + FDCHAIN_VERSION + "\n";
}

/// How this program was executed.
struct Invocation {
  const std::vector<std::string>& words;
  char** argv;
};

int make_process(Command command, const Arrival& arrival, const Journal& journal, const Invocation& call) {
  const int preserved = accept_preserved(arrival, command, journal);
  const OwnedFd handed = take_handed_file(command);
  // Before anything of the container's can see this process, or what it becomes.
  protect_own_executable(handed ? encode(command) : call.words, call.argv, preserved, handed);
  if (command.verb == Verb::create) return create(command, arrival, preserved, journal);
  if (command.verb == Verb::run) return run(command, arrival, preserved, journal);
  return exec(command, arrival, preserved, journal);
}

int carry_out(const Command& command, const Arrival& arrival, const Journal& journal,
              const Invocation& call) {
  switch (command.verb) {
    case Verb::create:
    case Verb::run:
    case Verb::exec: return make_process(command, arrival, journal, call);
    case Verb::start: return start(command, journal);
    case Verb::state: return print_state(command);
    case Verb::kill: return send_signal(command, journal);
    case Verb::remove: return remove(command, journal);
    case Verb::list: return list(command, journal);
    case Verb::ps: return print_processes(command);
    case Verb::features: return print_features();
    case Verb::spec: return write_spec(command);
    case Verb::version: return print(version());
    case Verb::help: return print(usage(command.help_about));
  }
  return failed;
}

// For a command line that is wrong after its --log.
void open_if_possible(const Command& command, Journal& journal) {
  try {
    journal = Journal(command);
  } catch (const std::exception&) {
    // Then stderr alone hears of it.
  }
}

}  // namespace

int serve(const std::vector<std::string>& words, const Arrival& arrival, char** argv) {
  Command command;
  Journal journal;
  bool opened = false;
  bool ok = true;
  const int status = guarded(
      [&] {
        decode_command(words, command);
        journal = Journal(command);
        opened = true;
        return carry_out(command, arrival, journal, {words, argv});
      },
      [&](std::string_view text, int) {
        ok = false;
        if (!opened) open_if_possible(command, journal);
        journal.error(text);
      });
  if (ok) return status;
  return command.verb == Verb::exec ? failed_exec : failed;
}

}  // namespace fdchain::oci
