#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fdchain/system/trace/arrival.h"
#include "fdchain/system/trace/trace_file.h"
#include "launcher/shared/options.h"
#include "launcher/shared/temporary.h"

namespace fdchain {

/// The launcher's part in what is observed of a run: it begins the trace, ends it, and has it judged.
///
/// With neither --trace nor --report nor --check it does nothing.
class Witness {
 public:
  /// Throws Failure when what was asked for cannot be had: a report of a run nobody waits for, or into a file
  /// that cannot be opened.
  Witness(const RunOptions& options, const Arrival& arrival);
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  [[nodiscard]] const Trace& trace() const { return trace_; }

  /// Writes the launcher's arrival, with the contract when there is one.
  void saw_arrival(const std::optional<Contract>& contract);

  /// Writes what the launcher holds at the end, what it has heard of the monitor, and which children it left
  /// but for `spared`, which it came with.
  void saw_end(const std::vector<std::string>& heard, std::span<const pid_t> spared);

  /// Judges the run, writes the reports that were asked for, and returns the exit status, which is another
  /// one when --check says so.
  int conclude(int status) const;

 private:
  const RunOptions& options_;
  const Arrival& arrival_;
  Trace trace_;
  std::optional<TemporaryTrace> temporary_;
  std::vector<pid_t> came_with_;  ///< children of before the run: nobody's leftovers
  bool arrival_written_ = false;
};

/// A name for the records of a run, which no other run has.
std::string new_run_name();

/// Throws Failure when a report that is asked for could not be written after the run. Descriptors below `end`
/// are somebody else's; the others are made close-on-exec here.
void check_reports(std::span<const ReportRequest> requests, const std::string& trace,
                   const std::string& baseline, int end);

/// How a run is to be judged and reported.
struct ReportOptions {
  std::span<const ReportRequest> requests;
  ColourChoice colour = ColourChoice::automatic;
  JudgeOptions judging;
};

/// Judges a run that ended with `status` and writes the reports that were asked for, behind those of other
/// runs when it is `another`.
Verdict report_run(const std::vector<HopRecord>& records, int status, const ReportOptions& options,
                   bool another = false);

/// What a text report for this descriptor is written on.
Page page_of(int fd, ColourChoice colour);

}  // namespace fdchain
