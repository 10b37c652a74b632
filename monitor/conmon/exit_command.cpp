#include "monitor/conmon/exit_command.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <chrono>
#include <string>
#include <vector>

#include "fdchain/model/wait_status.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/departure.h"
#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/trace/trace_file.h"

namespace fdchain {

void wait_out_exit_delay(const ConmonOptions& options, int signals) {
  const Deadline end = after(std::chrono::seconds(options.exit_delay.value_or(0)));
  while (std::chrono::steady_clock::now() < end) {
    (void)is_readable(signals, end);
    while (read_signal(signals) != 0) {
    }
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

int run_exit_command(const ConmonOptions& options, const Environment& environment, const sigset_t& mask) {
  // What the command starts may be meant to stay, and is nobody's here to wait for: a restarted container's
  // monitor, say.
  check(::prctl(PR_SET_CHILD_SUBREAPER, 0), "prctl PR_SET_CHILD_SUBREAPER");
  std::vector<std::string> words{options.exit_command.value_or("")};
  words.insert(words.end(), options.exit_command_args.begin(), options.exit_command_args.end());
  const HandOver next = hand_over_to_exit_command(environment, words);
  const pid_t command = depart(next, mask, Trace()).pid;  // no part of the chain
  int result = 0;
  int raw = 0;
  for (pid_t child = 0; (child = retry([&] { return ::waitpid(-1, &raw, 0); })) > 0;) {
    if (child == command) result = WaitStatus(raw).exit_status();
  }
  return result;
}

}  // namespace fdchain
