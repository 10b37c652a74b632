#pragma once

#include <csignal>
#include <span>
#include <vector>

namespace fdchain {

/// Those of `numbers` that this process may catch: a signal that was ignored when it was started stays
/// ignored, for it and for what it starts. That is what nohup(1) asks for.
std::vector<int> not_ignored(std::span<const int> numbers);

/// Blocks every signal while it lives.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  /// The mask that the destructor restores.
  [[nodiscard]] const sigset_t& before() const { return before_; }

 private:
  sigset_t before_{};
};

}  // namespace fdchain
