#include "fdchain/plan/renumber.h"

#include <map>
#include <utility>

namespace fdchain {
namespace {

/// The moves that are still to be made, and what stands in the way of each.
class Pending {
 public:
  void add(const Move& move) {
    source_for_.emplace(move.target, move.source);
    ++readers_[move.source];
  }

  [[nodiscard]] bool empty() const { return source_for_.empty(); }

  /// Makes the move to `target`, then those that waited for its source: when nobody reads a number any more,
  /// whatever is to come there may come.
  void place_from(int target, std::vector<Step>& steps) {
    while (is_target(target) && !is_read(target)) {
      const int source = source_for_.extract(target).mapped();
      steps.push_back(Step::place(source, target));
      if (--readers_[source] > 0) return;
      target = source;
    }
  }

  void place_all_free(std::vector<Step>& steps) {
    std::vector<int> targets;
    for (const auto& [target, source] : source_for_) targets.push_back(target);
    for (const int target : targets) place_from(target, steps);
  }

  /// Only for when every target left is still read by another move. There are then as many sources as targets
  /// and each is read once: what is left are closed cycles, and lifting one number opens the whole cycle. The
  /// scratch number is free again when the cycle is done, before the next one needs it.
  void open_a_cycle(int scratch, std::vector<Step>& steps) {
    const int target = source_for_.begin()->first;
    steps.push_back(Step::lift(target, scratch));
    for (auto& [ignored, source] : source_for_) {
      if (source == target) source = scratch;
    }
    readers_[scratch] = std::exchange(readers_[target], 0);
    place_from(target, steps);
  }

 private:
  [[nodiscard]] bool is_target(int number) const { return source_for_.contains(number); }
  [[nodiscard]] bool is_read(int number) const {
    const auto found = readers_.find(number);
    return found != readers_.end() && found->second > 0;
  }

  std::map<int, int> source_for_;  // by target
  std::map<int, int> readers_;     // how many moves still read a number
};

}  // namespace

std::vector<Step> plan_renumber(std::span<const Move> moves, int scratch) {
  std::vector<Step> steps;
  Pending pending;
  for (const Move& move : moves) {
    // dup2 of a number onto itself would leave it close-on-exec.
    if (move.source != move.target)
      pending.add(move);
    else if (!move.inheritable)
      steps.push_back(Step::keep(move.source));
  }
  pending.place_all_free(steps);
  while (!pending.empty()) pending.open_a_cycle(scratch, steps);
  return steps;
}

}  // namespace fdchain
