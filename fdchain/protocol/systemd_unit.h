// Unit files of systemd.socket(5) and systemd.service(5), written for a run of the launcher.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fdchain/model/listen_spec.h"

namespace fdchain {

struct UnitFile {
  std::string name;  ///< `echo.socket`
  std::string text;
};

/// A run as systemd is to start it.
struct UnitRequest {
  std::string name;                  ///< of the units, without a suffix
  std::vector<ListenSpec> listen;    ///< what systemd listens on
  std::vector<std::string> command;  ///< the launcher with its arguments
  bool notify = false;               ///< somebody in the run says READY=1
};

/// The .socket units, then the .service. A unit has one FileDescriptorName=, SocketMode= and Backlog=: where
/// these differ there are several, and only within one of them does systemd keep the order.
///
/// Throws Failure for a name no unit can have, and for an address that no line of a unit file can hold.
std::vector<UnitFile> make_units(const UnitRequest& request);

/// One word of ExecStart=, so that systemd reads back what was meant: nothing is split, expanded or replaced.
std::string exec_word(std::string_view word);

/// `ListenStream=127.0.0.1:8080`.
std::string listen_line(const ListenSpec& spec);

}  // namespace fdchain
