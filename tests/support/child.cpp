#include "tests/support/child.h"

#include <array>
#include <cstdlib>
#include <filesystem>

#include "fdchain/system/fd/sys.h"

namespace fdchain::test {

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  ssize_t got = 0;
  while ((got = retry([&] { return ::read(fd, buffer.data(), buffer.size()); })) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

TemporaryDirectory::TemporaryDirectory() : path_("/tmp/fdchain-test-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) fail(errno, "mkdtemp", path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace fdchain::test
