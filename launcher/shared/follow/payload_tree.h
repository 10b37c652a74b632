#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>

#include "fdchain/model/hop_record.h"
#include "fdchain/model/wait_status.h"
#include "fdchain/system/trace/trace_file.h"

namespace fdchain {

/// The payload after its exec, with whatever it starts: records each later exec, and the end.
///
/// It may fork and exec without end: of more processes than `most_processes` at once nothing is known, and of
/// the execs of the payload, and of those of the others, `most_records` are recorded. Its own end always is.
class PayloadTree {
 public:
  static constexpr std::size_t most_processes = 1000;
  static constexpr std::size_t most_records = 200;

  /// `known` describes the objects that can be expected.
  PayloadTree(const Trace& trace, const FdTable& known, pid_t payload);

  /// Whether the process belongs to the payload, as far as is known.
  [[nodiscard]] bool has(pid_t pid) const { return processes_.contains(pid); }

  /// A process of the payload's has begun another one.
  void on_fork(pid_t child);

  /// A process of the payload's stands at its exec.
  void on_exec(pid_t pid);

  /// A process stands at its end, or has been ended where it could not be stopped.
  void on_end(pid_t pid, WaitStatus status);

 private:
  struct Process {
    bool has_executed = false;  ///< and that is recorded
  };
  void on_end_of_payload(WaitStatus status);
  void write_end(pid_t pid, std::optional<WaitStatus> status);

  Trace trace_;
  const FdTable& known_;
  pid_t payload_;
  std::size_t own_records_ = 0;
  std::size_t records_ = 0;  // of what it has begun
  std::map<pid_t, Process> processes_;
};

}  // namespace fdchain
