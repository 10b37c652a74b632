#include "integration/harness/wait_until.h"

#include <poll.h>

#include <filesystem>
#include <stdexcept>

#include "integration/harness/program.h"

namespace fdchain::test {

void wait_until(const std::string& what, const std::function<bool()>& holds,
                std::chrono::milliseconds between_looks) {
  const auto deadline = std::chrono::steady_clock::now() + usual_patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("waited in vain: " + what);
    ::poll(nullptr, 0, static_cast<int>(between_looks.count()));
  }
}

void wait_for_file(const std::string& path) {
  wait_until(path, [&] { return std::filesystem::exists(path); });
}

void wait_for_text(const std::string& path, const std::string& text) {
  wait_until('"' + text + "\" in " + path, [&] { return read_file(path).find(text) != std::string::npos; });
}

}  // namespace fdchain::test
