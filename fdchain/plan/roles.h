// The hand-over of each hop in the native dialect, healthy. Pure: `launcher dry-run` shows them without
// forking.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/isolation.h"
#include "fdchain/plan/hand_over.h"

namespace fdchain {

/// What a hop has received and has to pass on.
struct Received {
  Environment environment;
  int sockets = 0;  ///< at 3 and above, in place
  std::optional<std::string> fdnames;
  bool name_pidfdid = false;  ///< LISTEN_PIDFDID came, and this kernel can tell the next program's
  int preserved = 0;          ///< descriptors after the sockets that are passed on too
  std::vector<std::string_view> pid_variables = {};  ///< those that name this hop, and so the next one

  /// One past the last number that goes to the payload.
  [[nodiscard]] int end() const;
};

/// The window and the preserved descriptors in place, and the environment that announces them.
HandOver pass_on(Hop from, const Received& received);

/// A socket that the launcher has opened itself.
struct OwnSocket {
  int source = -1;
  std::string text;  ///< as it was asked for
};

/// The launcher's hand-over to the monitor.
struct MonitorStart {
  Received received;
  std::vector<OwnSocket> own_sockets;  ///< placed after the received ones
  std::optional<std::string> fdnames;  ///< of all of them
  std::vector<std::string> command;    ///< the monitor with its arguments
  int sync_source = -1;                ///< the monitor's end of each pipe
  int start_source = -1;
  int reserved = 0;  ///< numbers after what is passed that the handshake leaves free
  bool keep_notify_socket = true;
};

HandOver hand_over_to_monitor(const MonitorStart& start);

/// The same to a conmon, in the OCI dialect: it is told of the sockets on its command line, and announces
/// nothing itself.
HandOver hand_over_to_conmon(const MonitorStart& start);

/// The monitor's hand-over to the runtime.
struct RuntimeStart {
  Received received;
  std::string program;
  std::vector<std::string> command;
  int sync_source = -1;  ///< the runtime's end of its sync pipe; -1 for none
  int sync_target = -1;
  std::optional<std::vector<int>> stdio;  ///< stdin, stdout and stderr; nothing to leave them as they are
  int monitor_pid = 0;
};

HandOver hand_over_to_runtime(const RuntimeStart& start);

/// The monitor's hand-over to an OCI runtime, in conmon's dialect.
struct OciRuntimeStart {
  Environment environment;        ///< as it came
  std::vector<FdPass> announced;  ///< open descriptors that the runtime has been promised, each where it is
  std::vector<std::string> command;
  std::optional<std::vector<int>> stdio;  ///< stdin, stdout and stderr; nothing to leave them as they are
  int monitor_pid = 0;
  bool name_pid = false;  ///< LISTEN_PID becomes the runtime's pid
};

/// Unlike the native hand-over this one announces nothing: what LISTEN_* says is between the caller and the
/// runtime, and conmon's rule on LISTEN_PID is all that a monitor adds. The handshake stays out of it.
HandOver hand_over_to_oci_runtime(const OciRuntimeStart& start);

/// The monitor's hand-over to the command that cleans up after a container: no descriptors beyond stdio, and
/// no word of sockets that are closed by then.
HandOver hand_over_to_exit_command(const Environment& environment, const std::vector<std::string>& command);

/// The shim's hand-over to the payload, in place.
struct PayloadStart {
  Received received;
  std::string program;
  std::vector<std::string> command;
  std::vector<std::string> assignments;  ///< NAME=VALUE, for the payload alone
  std::vector<std::string> config;       ///< its LISTEN_*, where they are not announced to this hop
  int ready_fd = -1;
  Isolation isolation;
  std::string workdir;    ///< in the payload's root; of no meaning without one of its own
  int parent_pidfd = -1;  ///< of whoever is the parent of a payload in its own pid namespace
};

HandOver hand_over_to_payload(const PayloadStart& start);

/// `received.environment` with the payload's own variables, before any is announced; where PATH is looked up.
Environment payload_environment(const Environment& received, const std::vector<std::string>& assignments);

}  // namespace fdchain
