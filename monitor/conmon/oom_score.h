#pragma once

#include <string>
#include <string_view>

namespace fdchain {

/// This process's badness for the kernel's OOM killer. Best effort: an ordinary user may not lower it.
class OomScore {
 public:
  /// Makes this process the last that is killed for want of memory. What it starts from then on inherits
  /// that.
  void protect_myself();

  /// As it was.
  void restore() const;

 private:
  static void write(std::string_view score);

  std::string before_;
};

}  // namespace fdchain
