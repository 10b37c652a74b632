#pragma once

#include <sys/types.h>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fdchain/model/hop_record.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/system/proc/process_info.h"
#include "fdchain/system/trace/trace_file.h"
#include "launcher/shared/follow/payload_tree.h"
#include "launcher/shared/follow/queue_watch.h"

namespace fdchain {

/// Whether the payload is followed beyond its exec.
enum class FollowPayload { no, yes };

/// Knows which part each of a number of processes has in a chain, and records what it was given.
///
/// A monitor is what is started with `_OCI_SYNCPIPE` and a conmon's words, or a native monitor's; a launcher,
/// the program that started it; a runtime, what the monitor starts to make a container; and the payload, the
/// first program in another mount namespace that is the monitor's child or the runtime's, or what a native
/// shim becomes. Only a runtime that nobody monitors is known by its name.
///
/// Several programs can have one part, one after the other: the last of them is the hop, and those before it
/// are wrappers that became it or started it. A hop that writes to the same trace itself gets no record here.
///
/// A record that cannot be written throws: half a trace shall not be taken for a whole one.
class ChainTracker {
 public:
  enum class Launcher { seen, speaks_for_itself };

  /// `known` describes the objects that can be expected. The first chain goes into `trace`, each later one
  /// into a run of its own.
  ChainTracker(Trace trace, FdTable known, Launcher launcher, FollowPayload follow_payload);

  /// A process stands at its exec. Whether it is of no further interest.
  bool on_exec(pid_t pid);

  /// A process has been begun, and has done nothing yet.
  void on_fork(pid_t child);

  /// A process stands at its end.
  void on_end(pid_t pid, WaitStatus status);

  /// A process has ended, which may be one that was killed and could not stand at its end.
  void on_ended(pid_t pid, WaitStatus status);

  /// Whether there is a chain of which something is still to be seen soon: the exec of a payload, or the end
  /// of the monitor of one that has ended.
  [[nodiscard]] bool expects_more() const;

  /// Becomes readable each when a payload has ended, and on_payload_ends() wants to know.
  [[nodiscard]] std::vector<int> payload_ends() const;
  void on_payload_ends();

  /// Writes what waits to be written: nothing more will be seen.
  void finish();

 private:
  /// Whether a hop that speaks for itself has done so.
  enum class Speech { certain, doubtful };

  struct Program {
    HopRecord record;
    std::vector<std::string> words;
    std::optional<std::pair<dev_t, ino_t>> file;  ///< what it was executed from
    bool speaks_for_itself = false;               ///< it is fdchain's own, and writes to this run's trace
    bool traces_others = false;  ///< a debugger: a wrapper whose offspring cannot be followed
  };

  // Pids are 0 before a process is known, and again when it has ended: its number may be another's then.
  struct Chain {
    Trace trace;
    bool monitored = false;
    bool native = false;  ///< the runtime becomes the payload
    bool runtime_ended = false;
    bool has_payload = false;
    bool over = false;
    std::string keeper;  ///< the monitor's command line, which it keeps when it leaves the foreground
    std::vector<std::string> payload_words;   ///< of a native chain
    std::optional<proc::NamespaceId> mounts;  ///< the mount namespace of the runtime
    std::vector<Program> monitors;            ///< not written yet, the last of them is the monitor
    std::vector<Program> runtimes;            ///< likewise
    std::vector<Program> payloads;  ///< of a native chain: what the runtime became before the payload
    QueueWatch queues;
    std::optional<PayloadTree> tree;  ///< when the payload is followed
    pid_t launcher = 0;
    pid_t monitor = 0;     ///< as it was started
    pid_t keeper_pid = 0;  ///< of the monitor, after it has left the foreground
    pid_t runtime = 0;
    pid_t payload = 0;

    [[nodiscard]] bool has_runtime() const { return runtime != 0 || runtime_ended; }
    [[nodiscard]] bool is_runtime(pid_t pid) const { return pid == runtime && !runtime_ended; }
    [[nodiscard]] bool is_kept_by(pid_t parent) const;
  };

  std::optional<Program> look_at(pid_t pid) const;
  Chain* chain_of(pid_t pid);
  void begin_monitored(Program program, bool native);
  Chain& begin_chain(const Program& first);
  static void add(std::vector<Program>& programs, Program program);
  static void take_runtime(Chain& chain, Program program);
  bool on_exec_in(Chain& chain, Program program);
  void take_payload(Chain& chain, Program program);
  void write_launcher(Chain& chain, const Program& started);
  void watch_queues(Chain& chain) const;
  PayloadTree* tree_of(pid_t pid);
  [[nodiscard]] bool is_hop(pid_t pid) const;
  void write_bystanders() const;
  void write_end(Chain& chain, pid_t pid, WaitStatus status);
  static void write(const Trace& trace, std::vector<Program>& programs, Hop hop,
                    Speech speech = Speech::certain);

  Trace trace_;
  FdTable known_;
  /// Where a process comes from: who began it, and when.
  struct Origin {
    pid_t parent = 0;
    std::uint64_t time_ns = 0;
  };
  std::map<pid_t, Origin> others_;  ///< whoever may be no hop, and may be there at the end
  Launcher launcher_;
  FollowPayload follow_payload_;
  std::deque<Chain> chains_;
  std::map<pid_t, std::vector<HopRecord>> programs_;  ///< what whoever is in no chain was given, at each exec
};

}  // namespace fdchain
