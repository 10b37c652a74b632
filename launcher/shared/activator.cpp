#include "launcher/shared/activator.h"

#include <algorithm>

#include "fdchain/model/variables.h"
#include "fdchain/plan/roles.h"
#include "fdchain/program/departure.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

bool is_activator_fault(const std::string& value) { return value.starts_with("activator:"); }

// The command line without the faults that have been committed by then. What the last words, the payload's,
// say is for the payload.
std::vector<std::string> without_activator_faults(const std::vector<std::string>& words,
                                                  std::size_t payload_words) {
  std::vector<std::string> kept{find_own_program("launcher")};
  const std::size_t own = words.size() - payload_words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i >= own) {
      kept.push_back(words[i]);
      continue;
    }
    if (words[i] == "--fault" && i + 1 < own && is_activator_fault(words[i + 1])) {
      ++i;
      continue;
    }
    constexpr std::string_view joined = "--fault=";
    if (words[i].starts_with(joined) && is_activator_fault(words[i].substr(joined.size()))) continue;
    kept.push_back(words[i]);
  }
  return kept;
}

}  // namespace

std::optional<HopPlan> plan_activator(const RunOptions& options, const Arrival& arrival) {
  const bool any = std::ranges::any_of(options.faults,
                                       [](const FaultRequest& fault) { return fault.hop == Hop::activator; });
  if (!any) return std::nullopt;
  const auto* const env = std::get_if<ListenEnv>(&arrival.listen);
  const int count = env == nullptr || arrival.missing ? 0 : env->count;
  const Received received{arrival.environment, count, env == nullptr ? std::nullopt : env->fdnames,
                          env != nullptr && env->has_pidfdid, options.preserve_fds};
  HopPlan plan{pass_on(Hop::activator, received), {}};
  plan.next.program = find_own_program("launcher");
  HopContext context{arrival.environment, 0, count, options.preserve_fds, {}};
  commit_faults(options.faults, Hop::activator, plan, context);
  return plan;
}

void commit_activator_faults(const RunOptions& options, const Arrival& arrival,
                             const std::vector<std::string>& words) {
  auto plan = plan_activator(options, arrival);
  if (!plan) return;
  plan->next.argv = without_activator_faults(words, options.payload_words);
  depart_in_place(plan->next, Trace());
}

}  // namespace fdchain
