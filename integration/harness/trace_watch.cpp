#include "integration/harness/trace_watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "fdchain/system/exec/pidfd.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"
#include "integration/harness/program.h"

namespace fdchain::test {
namespace {

constexpr auto patience = std::chrono::seconds(20);

std::size_t occurrences(const std::string& text, const std::string& wanted) {
  std::size_t count = 0;
  for (std::size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) ++count;
  return count;
}

}  // namespace

TraceWatch::TraceWatch(std::string path)
    : path_(std::move(path)), inotify_(check(::inotify_init1(IN_CLOEXEC), "inotify_init1")) {
  write_file_atomically(path_, "", "trace");
  check(::inotify_add_watch(inotify_.get(), path_.c_str(), IN_MODIFY), "inotify_add_watch", path_);
}

bool TraceWatch::wait_for(const std::string& text, std::size_t count, pid_t until) const {
  const OwnedFd process(check(open_pidfd(until), "pidfd_open"));
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (occurrences(read_file(path_), text) < count) {
    std::array<pollfd, 2> events{pollfd{inotify_.get(), POLLIN, 0}, pollfd{process.get(), POLLIN, 0}};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || ::poll(events.data(), events.size(), static_cast<int>(left.count())) == 0)
      throw std::runtime_error(path_ + ": no record with " + text);
    if (events[0].revents == 0) return occurrences(read_file(path_), text) >= count;
    std::array<char, 4096> ignored{};
    check(::read(inotify_.get(), ignored.data(), ignored.size()), "read", "inotify");
  }
  return true;
}

}  // namespace fdchain::test
