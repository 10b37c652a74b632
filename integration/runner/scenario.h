// A scenario: a story, a command, and what must come of it. One readable file each, in integration/scenarios.
#pragma once

#include <string>
#include <vector>

namespace fdchain::test {

/// `finding: ID by HOP at HOP`, or `by nobody` where the trace cannot tell.
struct ExpectedFinding {
  std::string id;
  std::string culprit;
  std::string hop;
  friend bool operator==(const ExpectedFinding&, const ExpectedFinding&) = default;
};

/// A scenario file, read.
///
/// A line is `key: value` or begins with `#`. Keys that may come more than once: story, activate, preserve,
/// stray, signal, finding.
struct Scenario {
  std::string name;                   ///< the file's, without its ending
  std::string story;                  ///< what went wrong in the field, and where
  std::string run;                    ///< for the shell; $DIR is a directory that goes when it is over
  std::vector<std::string> activate;  ///< sockets that the runner opens and announces, as an activator; for
                                      ///< `--listen`
  std::vector<int> others;            ///< numbers of descriptors that the caller has left open
  std::vector<int> closed;            ///< numbers among 0, 1 and 2 that are closed
  std::string connect;                ///< a client that connects, for an activator that waits for one
  bool notify = false;                ///< NOTIFY_SOCKET is set, and somebody listens there
  std::string says;                   ///< what the command prints before it is sent a signal
  std::vector<int> signals;  ///< sent to the command, each when the monitor has shown itself once more
  int exit_status = 0;
  std::vector<ExpectedFinding> findings;  ///< all of them, in the order of the report
};

/// Reads one file. Throws with its name and the line that is wrong.
Scenario read_scenario(const std::string& path);

/// The paths of all scenario files in a directory, sorted.
std::vector<std::string> scenario_files(const std::string& directory);

/// The values of --fault in a scenario's command: `monitor:close=3`.
std::vector<std::string> faults_in(const Scenario& scenario);

}  // namespace fdchain::test
