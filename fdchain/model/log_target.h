#pragma once

#include <string>
#include <string_view>

namespace fdchain {

/// Where a payload's stdout and stderr go.
struct LogTarget {
  enum class Kind {
    passthrough,  ///< to the launcher's own stdin, stdout and stderr
    none,         ///< nowhere
    k8s_file,     ///< to a file, in the format of conmon's k8s-file driver
  };
  Kind kind = Kind::passthrough;
  std::string path;  ///< for k8s_file

  friend bool operator==(const LogTarget&, const LogTarget&) = default;
};

/// Reads `passthrough`, `none` or `k8s-file:FILE`. Throws Failure.
LogTarget parse_log_target(std::string_view text);

/// The text that parse_log_target reads.
std::string to_string(const LogTarget& target);

}  // namespace fdchain
