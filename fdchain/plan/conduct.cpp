#include "fdchain/plan/conduct.h"

namespace fdchain {

std::string to_string(AfterFork step) {
  switch (step) {
    case AfterFork::reap_intermediate: return "reap-intermediate";
    case AfterFork::drop_sockets: return "drop-sockets";
  }
  return "?";
}

std::string to_string(OnSignal step) {
  switch (step) {
    case OnSignal::forward: return "forward";
    case OnSignal::open_eventfd: return "open-eventfd";
  }
  return "?";
}

std::string to_string(AtEnd step) {
  switch (step) {
    case AtEnd::end_leftovers: return "end-leftovers";
    case AtEnd::drain_log: return "drain-log";
    case AtEnd::drop_sockets: return "drop-sockets";
    case AtEnd::remove_names: return "remove-names";
    case AtEnd::write_exit_file: return "write-exit-file";
    case AtEnd::tell_status: return "tell-status";
    case AtEnd::tell_failure: return "tell-failure";
  }
  return "?";
}

Conduct ideal_conduct(Hop hop) {
  using enum AtEnd;
  switch (hop) {
    case Hop::launcher: return {{AfterFork::reap_intermediate, AfterFork::drop_sockets}, {}, {}, {}};
    case Hop::monitor:
      // A path goes while its socket still listens: the next run may take over one that nobody listens on,
      // and it would be that run's path which is removed.
      return {{},
              {OnSignal::forward},
              {end_leftovers, drain_log, remove_names, drop_sockets, write_exit_file, tell_status},
              {end_leftovers, drain_log, remove_names, drop_sockets, tell_failure}};
    case Hop::runtime_shim: return {{}, {}, {}, {tell_failure}};
    case Hop::activator:
    case Hop::payload: break;
  }
  return {};
}

}  // namespace fdchain
