#include "fdchain/plan/hand_over.h"

#include <algorithm>

#include "fdchain/model/listen_env.h"
#include "fdchain/plan/renumber.h"

namespace fdchain {
namespace {

std::vector<Move> moves_of(const std::vector<FdPass>& passed) {
  std::vector<Move> moves;
  for (const FdPass& range : passed) {
    if (range.source == range.target && range.inheritable) continue;
    for (int i = 0; i < range.count; ++i) {
      moves.push_back({range.source + i, range.target + i, range.inheritable});
    }
  }
  return moves;
}

const FdPass* passed_to(const std::vector<FdPass>& passed, int target) {
  const auto found = std::ranges::find_if(passed, [&](const FdPass& range) {
    return range.target <= target && target < range.target + range.count;
  });
  return found == passed.end() ? nullptr : &*found;
}

const FdPass* passed_from(const std::vector<FdPass>& passed, int source) {
  const auto found = std::ranges::find_if(passed, [&](const FdPass& range) {
    return range.source <= source && source < range.source + range.count;
  });
  return found == passed.end() ? nullptr : &*found;
}

std::string reason(const Step& step, const std::vector<FdPass>& passed) {
  if (step.kind == Step::Kind::lift) {
    const FdPass* const range = passed_from(passed, step.source);
    return (range != nullptr ? range->what : "") + ", out of the way of what is placed there";
  }
  const FdPass* const range = passed_to(passed, step.target);
  return range != nullptr ? range->what : "";
}

void add_renumbering(const HandOver& next, std::vector<PlannedStep>& steps) {
  for (const Step& step : plan_renumber(moves_of(next.passed), next.first_unused_fd())) {
    steps.push_back({step, reason(step, next.passed)});
  }
}

void add_death(const HandOver& next, std::vector<PlannedStep>& steps) {
  const std::string why = "it must not outlive its ";
  if (next.outer_parent >= 0) {
    steps.push_back({Step::die_with_outer_parent(next.outer_parent), why + "parent"});
  } else if (next.die_with_parent != 0) {
    steps.push_back({Step::die_with_parent(next.die_with_parent), why + std::string(to_string(next.from))});
  }
}

void add_place(const FsView& place, std::vector<PlannedStep>& steps) {
  if (place.own_mounts) steps.push_back({Step::own_mounts(), "what is mounted now is for the payload alone"});
  if (!place.proc.empty())
    steps.push_back({Step::mount_proc(), place.proc + " of the private pid namespace"});
  if (!place.root.empty()) steps.push_back({Step::enter_root(), place.root + " becomes /"});
  if (!place.directory.empty()) steps.push_back({Step::change_directory(), place.directory});
}

// Every gap between the passed numbers, and everything above them.
void add_seals(const HandOver& next, std::vector<PlannedStep>& steps) {
  std::vector<const FdPass*> ranges;
  for (const FdPass& range : next.passed) ranges.push_back(&range);
  std::ranges::sort(ranges, {}, &FdPass::target);
  int from = listen_fds_start;
  for (const FdPass* const range : ranges) {
    if (range->target > from) {
      steps.push_back({Step::seal(from, range->target - 1), "nothing announced is here"});
    }
    from = std::max(from, range->target + range->count);
  }
  steps.push_back({Step::seal_from(from), "nothing above is announced"});
}

}  // namespace

int HandOver::first_unused_fd() const {
  int unused = std::max(listen_fds_start, ready_fd + 1);
  for (const FdPass& range : passed) {
    unused = std::max({unused, range.source + range.count, range.target + range.count});
  }
  for (const PlannedStep& planned : extra) unused = std::max(unused, planned.step.target + 1);
  return unused;
}

std::vector<PlannedStep> plan_steps(const HandOver& next) {
  std::vector<PlannedStep> steps;
  if (next.new_session)
    steps.push_back({Step::new_session(), "the caller's terminal and session are not its business"});
  add_death(next, steps);
  add_renumbering(next, steps);
  add_seals(next, steps);
  steps.insert(steps.end(), next.extra.begin(), next.extra.end());
  if (next.name_pid)
    steps.push_back({Step::name_pid(), "LISTEN_PID names the process that shall adopt the sockets"});
  if (next.name_pidfdid) steps.push_back({Step::name_pidfdid(), "LISTEN_PIDFDID likewise"});
  for (std::size_t i = 0; i < next.pid_variables.size(); ++i) {
    steps.push_back({Step::name_pid(static_cast<int>(i)),
                     std::string(next.pid_variables[i]) + " names the process for which it is meant"});
  }
  // Last of what can open something: a pidfd for LISTEN_PIDFDID might not fit any more.
  if (next.limit_nofile > 0)
    steps.push_back(
        {Step::limit_nofile(next.limit_nofile), "a limit of this hop's own, forced on the next program"});
  if (next.observe_departure)
    steps.push_back({Step::observe(), "what is held now is what the trace says of the departure"});
  if (next.delay_at_departure > 0) steps.push_back({Step::wait(next.delay_at_departure), "FDCHAIN_DELAY"});
  if (next.stop_at_departure) steps.push_back({Step::stop(), "FDCHAIN_STOP"});
  // After the observation: the trace is a file of the root that is left here.
  add_place(next.place, steps);
  steps.push_back({Step::unblock(), "signals were blocked over the fork"});
  if (next.ready_fd >= 0) {
    steps.push_back(
        {Step::tell_ready(next.ready_fd), "its end without this word would be a death, not an exec"});
  }
  steps.push_back({Step::exec(), next.program});
  return steps;
}

}  // namespace fdchain
