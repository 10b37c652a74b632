#pragma once

#include <string>

namespace fdchain {

/// How a process ended, out of the integer of waitpid(2).
class WaitStatus {
 public:
  explicit WaitStatus(int raw) noexcept : raw_(raw) {}

  /// For tests and for statuses that came by another way than waitpid.
  static WaitStatus for_exit_code(int code) noexcept { return WaitStatus((code & 0xff) << 8); }
  static WaitStatus for_signal(int number) noexcept { return WaitStatus(number & 0x7f); }

  /// The signal that ended it, or 0.
  [[nodiscard]] int signal() const noexcept;

  /// What a shell would report: the exit code, or 128 plus the signal.
  [[nodiscard]] int exit_status() const noexcept;

  /// `exited with status 3`, `was killed by signal 9 (Killed)`.
  [[nodiscard]] std::string describe() const;

  friend bool operator==(WaitStatus, WaitStatus) = default;

 private:
  int raw_;
};

/// `signal 9 (Killed)`.
std::string describe_signal(int number);

}  // namespace fdchain
