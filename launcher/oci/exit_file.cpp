#include "launcher/oci/exit_file.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "fdchain/model/failure.h"
#include "fdchain/model/number.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/fs/files.h"

namespace fdchain {
namespace {

constexpr std::string_view timed_out = "-1";  // conmon's

}  // namespace

void ExitFile::watch(const ContainerPlace& place, const std::string& id) {
  path_ = place.exits() + '/' + id;
  changes_ = OwnedFd(check(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1"));
  check(::inotify_add_watch(changes_.get(), place.exits().c_str(), IN_MOVED_TO | IN_CLOSE_WRITE),
        "inotify_add_watch", place.exits());
}

void ExitFile::forget_changes() const {
  std::array<char, 4096> events{};
  while (::read(changes_.get(), events.data(), events.size()) > 0) {
  }
}

std::optional<int> ExitFile::status() const {
  const std::string text = read_file(path_);
  if (text == timed_out) return exit_status::timed_out;
  const auto number = parse_decimal(text, UINT8_MAX);
  return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

bool ExitFile::says_timed_out() const { return read_file(path_) == timed_out; }

}  // namespace fdchain
