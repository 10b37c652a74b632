#pragma once

#include <sys/types.h>

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "fdchain/model/hop_record.h"
#include "fdchain/system/proc/process_info.h"
#include "fdchain/system/trace/trace_file.h"

namespace fdchain {

/// Which of the hops speak for themselves, and need no record by somebody else.
struct Spoken {
  bool launcher = false;
  bool monitor = false;
  bool runtime = false;
};

/// Knows which part each of a number of processes has in a chain, and writes down what it was given.
///
/// A monitor is what is started with `_OCI_SYNCPIPE` and a conmon's words, or a native monitor's; a launcher,
/// who started it; a runtime, what the monitor starts to make a container; and the payload, the first program
/// in another mount namespace that is the monitor's child or the runtime's, or what a native shim becomes.
/// Only a runtime that nobody monitors is known by its name.
///
/// A record that cannot be written throws: half a trace shall not be taken for a whole one.
class Cast {
 public:
  /// `known` describes the objects that can be expected. The first chain goes into `trace`, each later one
  /// into a run of its own.
  Cast(Trace trace, FdTable known, Spoken spoken);

  /// A process stands at its exec. Whether it is of no further interest.
  bool saw_exec(pid_t pid);

  /// A process stands at its end, which is a good one when its exit status is 0.
  void saw_end(pid_t pid, bool well);

  /// Whether there is a chain of which something is still to be seen soon: the exec of a payload, or the end
  /// of the monitor of one that has ended.
  [[nodiscard]] bool expects_more() const;

 private:
  // Pids are 0 before a process is known, and again when it has ended: its number may be another's then.
  struct Chain {
    Trace trace;
    bool monitored = false;
    bool native = false;  ///< the runtime becomes the payload
    bool has_runtime = false;
    bool runtime_ended = false;
    bool has_payload = false;
    bool over = false;
    std::string keeper;  ///< the monitor's command line, which it keeps when it leaves the foreground
    std::optional<proc::NamespaceId> mounts;  ///< the mount namespace of the runtime
    pid_t launcher = 0;
    pid_t monitor = 0;     ///< as it was started
    pid_t keeper_pid = 0;  ///< of the monitor, after it has left the foreground
    pid_t runtime = 0;
    pid_t payload = 0;

    [[nodiscard]] bool is_runtime(pid_t pid) const { return pid == runtime && !runtime_ended; }
    [[nodiscard]] bool is_kept_by(pid_t parent) const;
  };

  Chain* chain_of(pid_t pid);
  void begin_monitored(pid_t pid, bool native);
  void begin_unmonitored(pid_t pid);
  Chain& begin_chain(pid_t first);
  void take_runtime(Chain& chain, pid_t pid);
  bool saw_exec_in(Chain& chain, pid_t pid);
  void write_launcher(Chain& chain, pid_t started);
  void write_end(const Chain& chain, pid_t pid);
  void write(const Trace& trace, pid_t pid, Hop hop, Moment moment);

  Trace trace_;
  FdTable known_;
  Spoken spoken_;
  std::deque<Chain> chains_;
  std::map<pid_t, HopRecord> programs_;  ///< what whoever is in no chain was given
};

}  // namespace fdchain
