#pragma once

#include <stdexcept>
#include <string>

namespace fdchain {

/// The exit statuses of a run that are not the payload's own; podman's numbers.
namespace exit_status {
inline constexpr int timed_out = 124;      ///< --timeout was over
inline constexpr int hop_failed = 125;     ///< the chain itself failed
inline constexpr int cannot_invoke = 126;  ///< the payload is there and cannot be executed
inline constexpr int not_found = 127;      ///< the payload is not there
inline constexpr int by_signal = 128;      ///< plus the number of the signal that ended the payload
}  // namespace exit_status

/// Ends the program with one line on stderr and this exit status. Thrown anywhere, caught in main.
class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& text, int status = exit_status::hop_failed)
      : std::runtime_error(text), status_(status) {}

  [[nodiscard]] int status() const noexcept { return status_; }

 private:
  int status_;
};

}  // namespace fdchain
