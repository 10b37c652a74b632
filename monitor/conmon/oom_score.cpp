#include "monitor/conmon/oom_score.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "fdchain/system/fd/owned_fd.h"

namespace fdchain {
namespace {

constexpr const char* path = "/proc/self/oom_score_adj";

}  // namespace

void OomScore::protect_myself() {
  std::array<char, 16> text{};
  const OwnedFd file(::open(path, O_RDWR | O_CLOEXEC));
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  if (got <= 0) return;
  before_.assign(text.data(), static_cast<std::size_t>(got));
  write("-1000");
}

void OomScore::restore() const {
  if (!before_.empty()) write(before_);
}

void OomScore::write(std::string_view score) {
  const OwnedFd file(::open(path, O_WRONLY | O_CLOEXEC));
  (void)!::write(file.get(), score.data(), score.size());  // it stays as killable as it was
}

}  // namespace fdchain
