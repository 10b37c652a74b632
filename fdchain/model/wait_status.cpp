#include "fdchain/model/wait_status.h"

#include <sys/wait.h>

#include <cstring>

#include "fdchain/model/failure.h"

namespace fdchain {

int WaitStatus::signal() const noexcept { return WIFSIGNALED(raw_) ? WTERMSIG(raw_) : 0; }

int WaitStatus::exit_status() const noexcept {
  return WIFSIGNALED(raw_) ? exit_status::by_signal + WTERMSIG(raw_) : WEXITSTATUS(raw_);
}

std::string WaitStatus::describe() const {
  if (WIFSIGNALED(raw_)) return "was killed by " + describe_signal(WTERMSIG(raw_));
  return "exited with status " + std::to_string(WEXITSTATUS(raw_));
}

std::string describe_signal(int number) {
  const char* const words = ::sigdescr_np(number);
  std::string text = "signal " + std::to_string(number);
  if (words != nullptr) text.append(" (").append(words).append(")");
  return text;
}

}  // namespace fdchain
