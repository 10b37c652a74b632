// One hop at a time: an OCI runtime, or a monitor in conmon's dialect, ours and the real ones.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fdchain::bench {

/// The command for an OCI runtime (a name, or a path) to run a container that ends at once; nothing, with the
/// reason in `why_not`, when it does not work here.
std::optional<std::vector<std::string>> run_container_command(const std::string& runtime,
                                                              std::string& why_not);

/// A monitor, ours or conmon, and the OCI runtime below it.
struct Monitoring {
  std::string monitor;
  std::string runtime;
  std::vector<std::string> runtime_options;  ///< that stand before its command
};

/// A runtime that does nothing but make a process, which waits.
Monitoring over_instant_runtime(const std::string& monitor);

/// crun, which makes a container and does not start it.
Monitoring over_crun(const std::string& monitor);

/// Seconds from the monitor's exec to its word, on the sync pipe, of the container's pid.
double start_by_monitor(const Monitoring& monitoring);

/// Seconds for conmon with a runtime that does nothing but make a process that ends.
double conmon_run();

/// What a process costs while it waits.
struct Waiting {
  double pss_kb = 0;
  double private_kb = 0;
  double wake_ups = 0;  ///< in the second after it has settled
};

/// Our monitor in its native dialect, waiting for a payload that does nothing.
Waiting waiting_monitor();

/// A monitor in conmon's dialect, and each of `count` at once.
Waiting waiting_as_conmon(const std::string& monitor, int count);

}  // namespace fdchain::bench
