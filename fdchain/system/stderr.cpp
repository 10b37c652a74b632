#include "fdchain/system/stderr.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <ctime>

#include "fdchain/system/sys.h"

namespace fdchain {
namespace {

// How long somebody who reads slowly is waited for.
constexpr int patience_ms = 1000;

/// Keeps the signals of a failed write from coming: blocks them, and takes back what has come meanwhile.
class WriteSignalsHeld {
 public:
  WriteSignalsHeld() noexcept {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGPIPE);
    ::sigaddset(&signals_, SIGXFSZ);
    ::sigprocmask(SIG_BLOCK, &signals_, &before_);
  }
  ~WriteSignalsHeld() {
    const timespec at_once{};
    while (retry([&] { return ::sigtimedwait(&signals_, nullptr, &at_once); }) > 0) {
    }
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  WriteSignalsHeld(const WriteSignalsHeld&) = delete;
  WriteSignalsHeld& operator=(const WriteSignalsHeld&) = delete;

 private:
  sigset_t signals_{};
  sigset_t before_{};
};

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
