#include "integration/harness/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

namespace fdchain::test {

Progress::Progress(std::uint64_t total, std::string_view what)
    : what_(what.empty() ? "" : std::string(what) + ' '),
      total_(total),
      shown_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::cerr << "\r\x1b[K" << std::flush;
}

void Progress::step(std::string_view remark) {
  ++done_;
  if (!shown_ || (done_ % 10 != 0 && done_ != total_)) return;
  constexpr std::uint64_t width = 40;
  const std::uint64_t filled = done_ * width / total_;
  std::cerr << fmt::format("\r{}[{:#<{}}{:.<{}}] {}/{}{}{}\x1b[K", what_, "", filled, "", width - filled,
                           done_, total_, remark.empty() ? "" : ", ", remark)
            << std::flush;
}

}  // namespace fdchain::test
