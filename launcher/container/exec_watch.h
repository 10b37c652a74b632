#pragma once

#include <sys/types.h>

#include <chrono>
#include <vector>

namespace fdchain {

/// Stops another process at its next execve(2), before the new program has done anything: that is where it
/// can be seen what it was given, and no later.
///
/// By ptrace(2), until the destructor. Where that is refused, nothing is stopped.
class ExecWatch {
 public:
  explicit ExecWatch(pid_t pid);
  ~ExecWatch();
  ExecWatch(const ExecWatch&) = delete;
  ExecWatch& operator=(const ExecWatch&) = delete;

  /// Whether the process can be watched at all.
  [[nodiscard]] bool works() const { return !threads_.empty(); }

  /// Takes note of what has happened, and has it go on after what is no exec. To be called often until
  /// `wait`: a watched process stops at each signal that it gets.
  void look();

  /// Waits until it stands at its exec, and leaves it standing there. False when it ended instead, or when
  /// the time is over.
  bool wait(std::chrono::milliseconds limit);

 private:
  enum class Seen { nothing, exec, end };
  static Seen look_at(pid_t thread);

  pid_t pid_;
  std::vector<pid_t> threads_;
  bool stopped_ = false;
};

}  // namespace fdchain
