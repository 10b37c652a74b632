#include "fdchain/system/exec/exec_image.h"

#include <algorithm>
#include <cstring>

#include "fdchain/model/listen_env.h"
#include "fdchain/model/printable.h"

namespace fdchain {
namespace {

std::vector<char*> pointers_into(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Appends NAME= and room for the digits only the child can know; returns the entry's index.
std::size_t reserve_number(std::vector<std::string>& strings, std::string_view name, std::size_t digits) {
  strings.push_back(std::string(name) + '=' + std::string(digits, ' '));
  return strings.size() - 1;
}

constexpr std::size_t pid_digits = 10;
constexpr std::size_t inode_digits = 20;

}  // namespace

ExecImage::ExecImage(const HandOver& next, const sigset_t& signal_mask)
    : program_(next.program),
      stop_notice_(std::string(to_string(next.from)) + ": stopped at departure (FDCHAIN_STOP), pid "),
      place_(next.place),
      argv_strings_(next.argv),
      reasons_(plan_steps(next)),
      signal_mask_(signal_mask) {
  Environment environment = next.environment;
  if (next.name_pid) environment.unset(listen_pid_name);
  if (next.name_pidfdid) environment.unset(listen_pidfdid_name);
  for (const std::string_view name : next.pid_variables) environment.unset(name);
  envp_strings_ = environment.assignments();
  std::size_t pid_index = 0;
  std::size_t pidfdid_index = 0;
  if (next.name_pid) pid_index = reserve_number(envp_strings_, listen_pid_name, pid_digits);
  if (next.name_pidfdid) pidfdid_index = reserve_number(envp_strings_, listen_pidfdid_name, inode_digits);
  const std::size_t first_variable = envp_strings_.size();
  for (const std::string_view name : next.pid_variables) reserve_number(envp_strings_, name, pid_digits);
  argv_ = pointers_into(argv_strings_);
  envp_ = pointers_into(envp_strings_);
  if (next.name_pid) listen_pid_ = envp_[pid_index] + listen_pid_name.size() + 1;
  if (next.name_pidfdid) listen_pidfdid_ = envp_[pidfdid_index] + listen_pidfdid_name.size() + 1;
  for (std::size_t i = 0; i < next.pid_variables.size(); ++i)
    pid_variables_.push_back(envp_[first_variable + i] + next.pid_variables[i].size() + 1);
  for (const PlannedStep& planned : reasons_) steps_.push_back(planned.step);
}

ExecPlan ExecImage::plan() {
  return {program_.c_str(),
          argv_.data(),
          envp_.data(),
          steps_,
          listen_pid_,
          pid_variables_,
          listen_pidfdid_,
          snapshot_,
          signal_mask_,
          stop_notice_.c_str(),
          place_.proc.c_str(),
          place_.root.c_str(),
          place_.directory.c_str(),
          nullptr};
}

std::size_t ExecImage::end_of_observation() const {
  const auto found = std::ranges::find(steps_, Step::Kind::observe, &Step::kind);
  return found == steps_.end() ? 0 : static_cast<std::size_t>(found - steps_.begin()) + 1;
}

std::vector<std::string_view> ExecImage::assignments() const {
  std::vector<std::string_view> assignments;
  // c_str: the child has ended its digits with a zero before the string's own end.
  for (const std::string& entry : envp_strings_) assignments.emplace_back(entry.c_str());
  return assignments;
}

std::string ExecImage::describe(const ExecFailure& failure) const {
  const std::string error = std::strerror(failure.error);
  if (failure.step.kind == Step::Kind::exec) return "exec " + printable(program_) + ": " + error;
  const auto planned = std::ranges::find(reasons_, failure.step, &PlannedStep::step);
  if (planned == reasons_.end()) return error;
  return to_string(planned->step) + " (" + planned->why + "): " + error;
}

}  // namespace fdchain
