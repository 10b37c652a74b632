#pragma once

#include <array>
#include <optional>
#include <variant>
#include <vector>

#include "fdchain/model/environment.h"
#include "fdchain/model/hop.h"
#include "fdchain/model/hop_record.h"
#include "fdchain/model/listen_env.h"
#include "fdchain/system/fd/owned_fd.h"
#include "fdchain/system/fd/owned_range.h"

namespace fdchain {

/// What this process was started with, taken as the first act of main.
///
/// The window of sockets is owned from here on. It stays as it arrived, not close-on-exec: a hop exists to
/// pass it on, passes it on in place, and every child of ours seals whatever its plan does not name.
struct Arrival {
  Environment environment;
  std::variant<ListenEnv, ListenProblem> listen;
  OwnedRange window;                 ///< 3 … n+2; empty unless all of it is announced to us and open
  std::optional<int> missing;        ///< the lowest announced number that is not open
  std::array<bool, 3> stdio_open{};  ///< whether 0, 1 and 2 were
  std::optional<HopRecord> record;   ///< all of it, when somebody asked for a trace, a fault or a profile
  std::vector<OwnedFd> held;         ///< what else this process keeps for the next one, as a profile has it
};

/// Takes stock of this process, and makes its table safe to work with:
///
/// - a closed 0, 1 or 2 is opened on /dev/null, or the next open would become somebody's stdin or stderr;
/// - whatever is not announced becomes close-on-exec.
///
/// With `observe` everything is looked at before anything is touched.
Arrival arrive(Hop hop, bool observe);

/// Takes `count` descriptors from 3 on for the window, whatever LISTEN_* say of them. They have to be open.
void take_window(Arrival& arrival, int count);

/// Takes an announcement for this process's own, whomever LISTEN_PID names.
void take_as_own(Arrival& arrival);

/// The listening sockets that came and are still held, each with who waits on it now.
FdTable observe_queues(const Arrival& arrival);

/// Whether the environment asks for a trace, a fault or a profile.
bool is_observed();

}  // namespace fdchain
