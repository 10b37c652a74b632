#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fdchain {

/// Environment variables as a value: the NAME=VALUE strings that execve(2) will get, in order.
///
/// Strings without `=` are legal in an environment block and are passed on as they came.
class Environment {
 public:
  Environment() = default;
  explicit Environment(std::vector<std::string> assignments) : assignments_(std::move(assignments)) {}

  /// The value as getenv(3) finds it: the first assignment wins. The view ends with the next set or unset.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;

  /// Leaves exactly one assignment of `name`, at the place of the first one there was.
  void set(std::string_view name, std::string_view value);

  /// Removes every assignment of `name`, duplicates included.
  void unset(std::string_view name);

  /// Leaves the last assignment of each name, for where that is the one that is meant: get() and getenv(3)
  /// find the first.
  void keep_last_of_each();

  [[nodiscard]] const std::vector<std::string>& assignments() const { return assignments_; }

  friend bool operator==(const Environment&, const Environment&) = default;

 private:
  std::vector<std::string> assignments_;
};

}  // namespace fdchain
