#include "fdchain/system/fd/stderr.h"

#include <poll.h>
#include <unistd.h>

#include "fdchain/system/fd/signals.h"
#include "fdchain/system/fd/sys.h"

namespace fdchain {
namespace {

// How long somebody who reads slowly is waited for.
constexpr int patience_ms = 1000;

}  // namespace

bool write_to_stderr(std::string_view line) noexcept {
  // A pipe that can be written takes 4096 bytes, more than a line has.
  pollfd out{STDERR_FILENO, POLLOUT, 0};
  if (retry([&] { return ::poll(&out, 1, patience_ms); }) <= 0) return false;
  const WriteSignalsHeld held;
  const ssize_t written = retry([&] { return ::write(STDERR_FILENO, line.data(), line.size()); });
  return written == static_cast<ssize_t>(line.size());
}

}  // namespace fdchain
