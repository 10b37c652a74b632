#include "fdchain/plan/edits/edits.h"

#include <algorithm>

#include "fdchain/model/failure.h"
#include "fdchain/model/listen_env.h"

namespace fdchain::faults {
namespace {

constexpr int nothing_to_do_status = 2;

auto find_range(HandOver& next, int target) {
  return std::ranges::find_if(next.passed, [&](const FdPass& range) {
    return range.target <= target && target < range.target + range.count;
  });
}

}  // namespace

void nothing_to_do(const std::string& why) { throw Failure(why, nothing_to_do_status); }

FdPass& single(HandOver& next, int target) {
  const auto found = find_range(next, target);
  if (found == next.passed.end())
    nothing_to_do("no descriptor " + std::to_string(target) + " is passed on here");
  const FdPass whole = *found;
  const int before = target - whole.target;
  const int after = whole.count - before - 1;
  next.passed.erase(found);
  if (before > 0) next.passed.push_back({whole.source, whole.target, before, whole.inheritable, whole.what});
  if (after > 0) {
    next.passed.push_back({whole.source + before + 1, target + 1, after, whole.inheritable, whole.what});
  }
  next.passed.push_back({whole.source + before, target, 1, whole.inheritable, whole.what});
  return next.passed.back();
}

void stop_passing(HandOver& next, int target) {
  single(next, target);
  next.passed.pop_back();
}

bool is_passed(const HandOver& next, int target) {
  return std::ranges::any_of(next.passed, [&](const FdPass& range) {
    return range.target <= target && target < range.target + range.count;
  });
}

int end_of_passed(const HandOver& next) {
  int end = listen_fds_start;
  for (const FdPass& range : next.passed) end = std::max(end, range.target + range.count);
  return end;
}

void need_sockets(const HopContext& context) {
  if (context.sockets == 0) nothing_to_do("no socket is passed on here");
}

void add_extra(HopPlan& plan, Step step, std::string why) {
  plan.next.extra.push_back({step, std::move(why)});
}

}  // namespace fdchain::faults
