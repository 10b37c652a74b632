#include "fdchain/system/signals.h"

#include <algorithm>
#include <iterator>

namespace fdchain {

std::vector<int> not_ignored(std::span<const int> numbers) {
  std::vector<int> result;
  std::ranges::copy_if(numbers, std::back_inserter(result), [](int number) {
    struct sigaction action {};
    return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN;
  });
  return result;
}

SignalsBlocked::SignalsBlocked() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace fdchain
