#pragma once

#include <string>
#include <vector>

#include "fdchain/plan/hand_over.h"
#include "fdchain/system/child_side.h"

namespace fdchain {

/// A hand-over laid out in memory as execve(2) and the child need it.
///
/// Owns every string that `plan()` points into, so it must outlive the spawn; it is neither copied nor moved.
class ExecImage {
 public:
  explicit ExecImage(const HandOver& next);
  ExecImage(const ExecImage&) = delete;
  ExecImage& operator=(const ExecImage&) = delete;

  /// The child's orders. The signal mask is for `spawn` to fill in.
  [[nodiscard]] ExecPlan plan();

  /// Numbers from here on are free for the descriptors a spawn itself needs: no step reads or writes them.
  [[nodiscard]] int first_unused_fd() const { return first_unused_fd_; }

  /// The failure in words: `exec /opt/x: No such file or directory`.
  [[nodiscard]] std::string describe(const ExecFailure& failure) const;

 private:
  std::string program_;
  std::string stop_notice_;
  std::string ready_message_;
  std::vector<std::string> argv_strings_;
  std::vector<std::string> envp_strings_;
  std::vector<char*> argv_;
  std::vector<char*> envp_;
  std::vector<Step> steps_;
  std::vector<PlannedStep> reasons_;
  char* listen_pid_ = nullptr;
  char* listen_pidfdid_ = nullptr;
  int first_unused_fd_;
};

}  // namespace fdchain
