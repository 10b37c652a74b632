#pragma once

#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "fdchain/model/environment.h"
#include "fdchain/model/wait_status.h"

namespace fdchain {

/// What came of a program that was run to its end.
struct Outcome {
  WaitStatus status;
  std::string said;  ///< on stdout and stderr, as far as it is worth reading
};

/// Runs a program that has nothing to do with the sockets, and waits for it: it gets none of them, and
/// /dev/null as stdin. One that takes longer than `limit`, or of
/// which `given_up`, asked now and then, has come to say so, is killed.
///
/// Throws Failure when it cannot be started.
Outcome run_command(const std::vector<std::string>& words, const Environment& environment,
                    const sigset_t& signal_mask, std::chrono::milliseconds limit,
                    const std::function<bool()>& given_up = {});

}  // namespace fdchain
