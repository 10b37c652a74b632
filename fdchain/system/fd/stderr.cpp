#include "fdchain/system/fd/stderr.h"

#include <unistd.h>

#include "fdchain/system/fd/poll_until.h"
#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

// How long somebody who reads slowly is waited for.
constexpr std::chrono::seconds patience{1};

}  // namespace

bool write_to_stderr(std::string_view line) noexcept {
  // A pipe that can be written takes 4096 bytes, more than a line has.
  pollfd out{STDERR_FILENO, POLLOUT, 0};
  if (poll_until({&out, 1}, after(patience)) <= 0) return false;
  const WriteSignalsHeld held;
  const ssize_t written = retry([&] { return ::write(STDERR_FILENO, line.data(), line.size()); });
  return written == static_cast<ssize_t>(line.size());
}

}  // namespace fdchain
