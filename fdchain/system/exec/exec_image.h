#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fdchain/plan/hand_over.h"
#include "fdchain/system/exec/child_side.h"

namespace fdchain {

/// A hand-over laid out in memory as execve(2) and the child need it.
///
/// Owns every string that `plan()` points into, so it must outlive the spawn; it is neither copied nor moved.
class ExecImage {
 public:
  /// `signal_mask` is the mask that the next program shall have.
  ExecImage(const HandOver& next, const sigset_t& signal_mask);
  ExecImage(const ExecImage&) = delete;
  ExecImage& operator=(const ExecImage&) = delete;

  /// The child's orders, good for one child: it writes its own pid into them.
  [[nodiscard]] ExecPlan plan();

  /// Where the step `observe` shall write; lent until the spawn is over.
  void observe_into(Snapshot* snapshot) { snapshot_ = snapshot; }

  /// How many steps there are up to and including `observe`.
  [[nodiscard]] std::size_t end_of_observation() const;

  [[nodiscard]] const std::string& program() const { return program_; }

  /// The environment of the next program; after its exec, with the numbers that only it knew.
  [[nodiscard]] std::vector<std::string_view> assignments() const;

  /// The failure in words: `exec /opt/x: No such file or directory`.
  [[nodiscard]] std::string describe(const ExecFailure& failure) const;

 private:
  std::string program_;
  std::string stop_notice_;
  FsView place_;
  std::vector<std::string> argv_strings_;
  std::vector<std::string> envp_strings_;
  std::vector<char*> argv_;
  std::vector<char*> envp_;
  std::vector<Step> steps_;
  std::vector<PlannedStep> reasons_;
  char* listen_pid_ = nullptr;
  std::vector<char*> pid_variables_;
  char* listen_pidfdid_ = nullptr;
  Snapshot* snapshot_ = nullptr;
  sigset_t signal_mask_;
};

}  // namespace fdchain
