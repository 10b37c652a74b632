#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "fdchain/model/hop_record.h"
#include "fdchain/system/trace_file.h"

namespace fdchain {

/// Which of the hops speak for themselves, and need no record by somebody else.
struct Spoken {
  bool launcher = false;
  bool monitor = false;
  bool runtime = false;
};

/// Knows which part each of a number of processes has in a chain, and writes down what it was given.
///
/// Names decide nothing. A monitor is what is started with `_OCI_SYNCPIPE`; a launcher, who started it; a
/// runtime, what the monitor starts first; and the payload, what the runtime becomes, or the first program in
/// another mount namespace that is the monitor's child or the runtime's. Only a runtime that nobody monitors
/// is known by its name and its command, `create` or `run`.
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
  struct Chain {
    Trace trace;
    std::string keeper;  ///< the command line of whoever the payload will be a child of
    std::string mounts;  ///< the mount namespace of the runtime
    pid_t launcher = 0;
    pid_t monitor = 0;     ///< as it was started; 0 where there is none
    pid_t keeper_pid = 0;  ///< of the monitor, after it has left the foreground
    pid_t runtime = 0;
    pid_t payload = 0;
    bool over = false;

    [[nodiscard]] bool is_kept_by(pid_t parent) const;
  };

  Chain* chain_of(pid_t pid);
  void begin_monitored(pid_t pid);
  void begin_unmonitored(pid_t pid);
  Chain& begin_chain();
  bool saw_exec_in(Chain& chain, pid_t pid);
  void write_launcher(Chain& chain, pid_t started);
  void write_end(const Chain& chain, pid_t pid);
  void write(const Trace& trace, pid_t pid, Hop hop, Moment moment);

  Trace trace_;
  FdTable known_;
  Spoken spoken_;
  std::vector<Chain> chains_;
  std::map<pid_t, HopRecord> programs_;  ///< what whoever is in no chain was given
};

}  // namespace fdchain
