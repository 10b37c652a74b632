#include "fdchain/plan/step.h"

#include <limits>

namespace fdchain {

std::string to_string(const Step& step) {
  using enum Step::Kind;
  const std::string source = std::to_string(step.source);
  const std::string arrow = source + " -> " + std::to_string(step.target);
  switch (step.kind) {
    case new_session:
      return "new-session";
    case die_with_parent:
      return "die-with-parent";
    case default_signal:
      return "default-signal " + source;
    case lift:
      return "lift " + arrow;
    case place:
      return "place " + arrow;
    case keep:
      return "keep " + source;
    case seal: {
      const bool open_ended = step.target == std::numeric_limits<int>::max();
      return "seal " + source + (open_ended ? " and above" : " to " + std::to_string(step.target));
    }
    case wait:
      return "wait " + source + " ms";
    case stop:
      return "stop";
    case name_pid:
      return "name-pid";
    case name_pidfdid:
      return "name-pidfdid";
    case tell_ready:
      return "tell-ready on " + source;
    case unblock:
      return "unblock";
    case exec:
      return "exec";
  }
  return "?";
}

}  // namespace fdchain
