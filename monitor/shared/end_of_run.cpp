#include "monitor/shared/end_of_run.h"

#include <utility>

namespace fdchain {
namespace {

const EndOfRun::Action& action_of(const EndOfRun& end, AtEnd step) {
  switch (step) {
    case AtEnd::end_leftovers: return end.end_leftovers;
    case AtEnd::drain_log: return end.drain_log;
    case AtEnd::drop_sockets: return end.drop_sockets;
    case AtEnd::remove_names: return end.remove_names;
    case AtEnd::write_exit_file: return end.write_exit_file;
    case AtEnd::tell_status: return end.tell_status;
    case AtEnd::tell_failure: break;
  }
  return end.tell_failure;
}

bool publishes(AtEnd step) {
  return step == AtEnd::write_exit_file || step == AtEnd::tell_status || step == AtEnd::tell_failure;
}

}  // namespace

void EndOfRun::carry_out(std::span<const AtEnd> steps) const {
  bool looked = false;
  for (const AtEnd step : steps) {
    if (publishes(step) && !std::exchange(looked, true)) last_look();
    if (const Action& action = action_of(*this, step)) action();
  }
  if (!looked) last_look();
}

}  // namespace fdchain
