// One look at one hop at one moment: the line of a trace.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fdchain/model/fd_table.h"
#include "fdchain/model/hop.h"

namespace fdchain {

/// The version of the trace format. A reader that finds a higher one does not guess.
inline constexpr int trace_schema = 1;

/// A socket as it was meant to reach the payload.
struct ContractSocket {
  int fd = -1;  ///< the number at which every hop must have it
  std::string name;
  FdRow row;  ///< as the launcher had it
  friend bool operator==(const ContractSocket&, const ContractSocket&) = default;
};

/// What the launcher was to hand over: taken down before any plan is made, so a plan that is wrong can be
/// held against it.
struct Contract {
  std::vector<ContractSocket> sockets;
  bool has_names = false;        ///< LISTEN_FDNAMES is to be set
  std::vector<FdRow> preserved;  ///< what --preserve-fds asks for, at the numbers the payload has it
  bool notify_payload = false;   ///< NOTIFY_SOCKET is to reach the payload
  friend bool operator==(const Contract&, const Contract&) = default;
};

/// Somebody else's process, seen in passing.
struct ProcessRow {
  pid_t pid = 0;
  std::string state;    ///< as in /proc/PID/stat: R, S, D, Z, …
  std::string command;  ///< its comm
  friend bool operator==(const ProcessRow&, const ProcessRow&) = default;
};

/// One look at one hop.
struct HopRecord {
  int schema = trace_schema;
  std::string run;  ///< the same in every record of a run
  Hop hop = Hop::launcher;
  Moment moment = Moment::arrival;
  Hop seen_by = Hop::launcher;  ///< who looked: the hop itself, or another one from outside
  std::uint64_t time_ns = 0;    ///< CLOCK_MONOTONIC
  pid_t pid = 0;
  pid_t ppid = 0;
  pid_t sid = 0;
  pid_t pid_in_namespace = 0;            ///< as the process sees itself, which is what LISTEN_PID must say
  std::optional<std::uint64_t> pidfdid;  ///< nothing where the kernel or the observer cannot tell
  std::string exe;
  std::string program;  ///< what it was started as: a script's name, where `exe` is the interpreter's
  std::map<std::string, std::string> environment;  ///< what is_chain_variable() has, only
  std::uint64_t nofile_soft = 0;
  std::uint64_t nofile_hard = 0;
  std::vector<int> ignored_signals;
  std::optional<int> preserve_fds;  ///< what its command line says of --preserve-fds; of a conmon, what it is
                                    ///< to tell its runtime
  bool counts_sockets = true;  ///< that number counts the sockets too, as for conmon and the OCI runtimes; in
                               ///< fdchain's own words it is of what follows those that LISTEN_FDS counts
  bool replaces_listen_pid = false;  ///< its command line says --replace-listen-pid
  bool relays_notify = false;  ///< its command line says --sdnotify-socket: it forwards what the payload says
  bool keeps_sockets = false;  ///< its command line says that they are for itself: an API service's
  FdTable fds;
  std::optional<Contract> contract;  ///< in the launcher's arrival
  std::vector<std::string> heard;    ///< after_exit: what the next hop said on the sync pipe
  std::vector<std::string> told;     ///< after_exit: what was said to the hop before
  std::optional<std::string> ended;  ///< after_exit: how the child ended, `exited with status 3`; of a hop
                                     ///< that could not become the next one, `failed:` and why.
                                     ///< payload_end: how it ended itself; nothing of one that lived on.
                                     ///< Of a launcher that is not ours, how it ended too
  FdTable queues;  ///< after_exit: the listening sockets that it had until the end, with who
                   ///< waited on them then
  std::vector<ProcessRow>
      children;  ///< after_exit: children that are still there, zombies and orphans included

  friend bool operator==(const HopRecord&, const HopRecord&) = default;
};

/// The name of its program: a script's, or the executable's.
inline std::string program_of(const HopRecord& record) {
  return record.program.empty() ? record.exe.substr(record.exe.rfind('/') + 1) : record.program;
}

}  // namespace fdchain
