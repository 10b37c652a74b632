#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fdchain::test {

/// A line on a terminal that is drawn over and over, and gone at the end; nothing where stderr is none.
class Progress {
 public:
  explicit Progress(std::uint64_t total, std::string_view what = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One more is done; `remark` stands behind the bar.
  void step(std::string_view remark = {});

 private:
  std::string what_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  bool shown_;
};

}  // namespace fdchain::test
