// What is measured, one function a thing.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "fdchain/plan/hand_over.h"
#include "fdchain/system/fd/owned_fd.h"

namespace fdchain::bench {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin);

/// A command with the environment that all contenders have.
HandOver to_start(const std::vector<std::string>& command);

/// Starts it. The caller has to end and reap it.
pid_t start(const HandOver& next);

/// Waits for its end, and throws when it fails.
void expect_success(pid_t pid, const std::string& what);

/// Seconds from the start of `command` to its end. Throws when it fails.
double whole_run(const std::vector<std::string>& command);

/// Starts commands from a process of its own that holds this many listening sockets at 3 and above and
/// announces them: to hold them here would slow every other measurement.
class SocketHolder {
 public:
  explicit SocketHolder(int count);
  ~SocketHolder();
  SocketHolder(const SocketHolder&) = delete;
  SocketHolder& operator=(const SocketHolder&) = delete;

  /// As whole_run(), with the sockets.
  [[nodiscard]] double whole_run(const std::vector<std::string>& command) const;

 private:
  pid_t pid_ = 0;
  OwnedFd channel_;
};

/// Starts a command, and the same with a listening socket at 3 that is announced to it. The caller has to end
/// and reap it.
pid_t start_command(const std::vector<std::string>& command);
pid_t start_activated(const std::vector<std::string>& command, const OwnedFd& socket);

/// Seconds from a client's connect to its first byte back, with systemd-socket-activate in front of
/// `command`.
double first_byte(const std::vector<std::string>& command);

/// Whether a program is installed.
bool is_installed(const std::string& program);

/// The command for podman to run a payload that ends at once, prepared so that it works here; nothing, with
/// the reason in `why_not`, when it does not.
std::optional<std::vector<std::string>> podman_command(std::string& why_not);

/// The command, when it is installed and runs once without an error; else nothing, with the reason in
/// `why_not`.
std::optional<std::vector<std::string>> if_it_works(const std::vector<std::string>& command,
                                                    std::string& why_not);

/// A root file system with the static payload and a program that ends at once.
std::string make_root();

/// Where everything of this bench goes; whoever made the directory removes it.
void use_scratch_directory(std::string directory);
const std::string& scratch_directory();

/// The path of a copy of one of the four programs, or of one of the bench's own. A copy, as an installation
/// makes one: a file that the linker has written in small pieces is slower to map.
std::string program(const std::string& name);

}  // namespace fdchain::bench
