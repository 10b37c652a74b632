#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fdchain/model/hop_record.h"
#include "fdchain/plan/edits/asked.h"
#include "fdchain/plan/roles.h"
#include "fdchain/system/socket/listening_socket.h"
#include "fdchain/system/trace/arrival.h"
#include "fdchain/system/trace/trace_file.h"
#include "launcher/shared/options.h"

namespace fdchain {

/// What the launcher has to hand over: what came with it, and what it opened.
struct Sockets {
  ListenEnv inherited;
  std::vector<Opened> opened;

  [[nodiscard]] int count() const { return inherited.count + static_cast<int>(opened.size()); }
};

/// What has been opened for a run; in a dry run, what it would be.
struct Handles {
  std::vector<int> own_sockets;
  std::vector<std::pair<MadeName::Kind, std::string>> made_names;
  int sync = -1;
  int start = -1;
  int reserved = 0;  ///< numbers that a profile has for descriptors of its own, after the sockets
};

/// What the monitor is to be started with. `environment` is the one to pass on.
MonitorStart plan_monitor_start(const RunOptions& options, const Environment& environment,
                                const ListenEnv& inherited, const Handles& handles);

/// The environment for the next hop: as it came, with what the next one has to know of the trace and of its
/// faults.
Environment environment_to_pass(const RunOptions& options, const Environment& arrived, const Trace& trace);

/// The edits that the options ask for; where they ask for none, those of the environment.
AskedEdits asked_edits(const RunOptions& options, const Environment& arrived);

/// LISTEN_FDNAMES of what was inherited and of what is opened; nothing when no socket has a name.
std::optional<std::string> all_fdnames(const RunOptions& options, const ListenEnv& inherited);

/// What is to reach the payload, taken down before any plan is made.
Contract make_contract(const RunOptions& options, const Arrival& arrival, const Sockets& sockets);

}  // namespace fdchain
