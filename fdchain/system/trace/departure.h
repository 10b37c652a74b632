#pragma once

#include <optional>
#include <vector>

#include "fdchain/model/hop_record.h"
#include "fdchain/system/exec/exec_image.h"

namespace fdchain {

/// Room for what a child observes just before exec, and the record of it afterwards.
class DepartureObserver {
 public:
  /// `own` is what this process holds before the fork.
  DepartureObserver(const HandOver& next, FdTable own);
  DepartureObserver(const DepartureObserver&) = delete;
  DepartureObserver& operator=(const DepartureObserver&) = delete;

  /// For ExecPlan::snapshot.
  [[nodiscard]] Snapshot* snapshot() { return &snapshot_; }

  /// The record of the departure; nothing when the child did not come to observe.
  [[nodiscard]] std::optional<HopRecord> record(const ExecImage& image) const;

 private:
  Hop hop_;
  std::optional<int> preserve_fds_;  // what the next hop is told
  bool counts_sockets_ = true;
  bool replaces_listen_pid_ = false;
  bool relays_notify_ = false;
  FdTable own_;
  std::vector<int> candidates_;
  std::vector<RawRow> rows_;
  Snapshot snapshot_;
};

}  // namespace fdchain
