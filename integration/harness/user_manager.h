// The real systemd, as a user's own manager, in namespaces that end with the test.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "integration/harness/notify_socket.h"
#include "integration/harness/program.h"

namespace fdchain::test {

/// `systemd --user` with pids, mounts, control groups and a home of its own; it shares the network of the
/// test. Has started when this is made; with the end of its scope everything that it has started is gone.
class UserManager {
 public:
  /// `directory` is where its home and its runtime directory are made.
  explicit UserManager(std::string directory);
  ~UserManager();
  UserManager(const UserManager&) = delete;
  UserManager& operator=(const UserManager&) = delete;

  /// Ends it with everything that it has started.
  void end();

  /// Where %h is.
  [[nodiscard]] std::string home() const { return directory_ + "/home"; }

  /// Writes a unit, to be known after reload().
  void write_unit(const std::string& name, const std::string& text) const;
  [[nodiscard]] std::string unit_directory() const { return home() + "/.config/systemd/user"; }

  /// `systemctl --user WORDS…`
  [[nodiscard]] Result systemctl(std::vector<std::string> words) const;

  /// The same, and throws when it fails.
  void must(std::vector<std::string> words) const;
  void reload() const { must({"daemon-reload"}); }

  /// One property of a unit, as `systemctl show` prints it.
  [[nodiscard]] std::string property(const std::string& unit, const std::string& name) const;

  /// Waits until it has this value.
  void wait_for(const std::string& unit, const std::string& name, const std::string& value) const;

  /// The name of the main process of a service; of process `pid` as the manager numbers it.
  [[nodiscard]] std::string main_process(const std::string& unit) const;

  /// The processes in the service's control group, by name, sorted.
  [[nodiscard]] std::vector<std::string> processes(const std::string& unit) const;

  /// Runs a program beside the manager, in its namespaces.
  [[nodiscard]] Result inside(std::vector<std::string> command,
                              std::chrono::seconds within = usual_patience) const;

 private:
  std::string directory_;
  NotifySocket started_;
  std::unique_ptr<Program> program_;
  pid_t first_ = 0;  ///< process 1 of its pid namespace, as seen from outside
};

}  // namespace fdchain::test
