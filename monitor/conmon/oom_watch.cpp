#include "monitor/conmon/oom_watch.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "fdchain/program/log.h"
#include "fdchain/system/fd/sys.h"
#include "fdchain/system/proc/process_info.h"

namespace fdchain {
namespace {

namespace asio = boost::asio;

constexpr auto cgroup2_magic = 0x63677270;  // CGROUP2_SUPER_MAGIC of linux/magic.h
constexpr const char* cgroup_root = "/sys/fs/cgroup";

bool is_version_2() {
  struct statfs filesystem {};
  return ::statfs(cgroup_root, &filesystem) == 0 && filesystem.f_type == cgroup2_magic;
}

bool has_memory(std::string_view controllers) {
  while (!controllers.empty()) {
    const std::string_view one = controllers.substr(0, controllers.find(','));
    if (one == "memory") return true;
    controllers.remove_prefix(std::min(controllers.size(), one.size() + 1));
  }
  return false;
}

// Lines are ID:CONTROLLERS:PATH; version 2 has no controllers there.
std::optional<std::string> memory_cgroup(pid_t process, bool version_2) {
  const auto found = proc::Process::find(process);
  std::istringstream list(found ? found->text("cgroup").value_or("") : "");
  for (std::string line; std::getline(list, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (version_2 ? !controllers.empty() : !has_memory(controllers)) continue;
    return std::string(cgroup_root) + (version_2 ? "" : "/memory") + line.substr(second + 1);
  }
  return std::nullopt;
}

// How often the kernel has killed, as memory.events counts it.
std::uint64_t count_kills(const std::string& events) {
  std::ifstream file(events);
  std::string name;
  std::uint64_t kills = 0;
  for (std::uint64_t count = 0; file >> name >> count;) {
    if (name == "oom_kill" || name == "oom_group_kill") kills += count;
  }
  return kills;
}

}  // namespace

OomWatch::OomWatch(asio::io_context& io, pid_t process, std::function<void()> killed)
    : killed_(std::move(killed)), wakes_(io) {
  const bool version_2 = is_version_2();
  const auto cgroup = memory_cgroup(process, version_2);
  if (!cgroup) return;
  // What is only watched is never a reason to give a container up.
  try {
    version_2 ? watch_events(*cgroup) : watch_control(*cgroup);
    if (wakes_.is_open()) listen();
  } catch (const std::exception& error) {
    log::debug("{} is not watched: {}", *cgroup, error.what());
  }
}

void OomWatch::watch_events(const std::string& cgroup) {
  const std::string events = cgroup + "/memory.events";
  OwnedFd notifications(check(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1"));
  if (::inotify_add_watch(notifications.get(), events.c_str(), IN_MODIFY) < 0)
    return log::debug("{} is not watched", events);
  // A cgroup may be older than its container, and be a pod's: what happened in it before is not this one's.
  kills_before_ = count_kills(events);
  events_ = events;
  wakes_.assign(notifications.release());
}

void OomWatch::watch_control(const std::string& cgroup) {
  control_ = OwnedFd(::open((cgroup + "/memory.oom_control").c_str(), O_RDONLY | O_CLOEXEC));
  const OwnedFd event_control(::open((cgroup + "/cgroup.event_control").c_str(), O_WRONLY | O_CLOEXEC));
  if (!control_ || !event_control) return log::debug("{} is not watched", cgroup);
  OwnedFd notifications(check(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"));
  const std::string order = std::to_string(notifications.get()) + ' ' + std::to_string(control_.get());
  if (::write(event_control.get(), order.data(), order.size()) < 0)
    return log::debug("{} is not watched", cgroup);
  wakes_.assign(notifications.release());
}

void OomWatch::listen() {
  wakes_.async_wait(asio::posix::stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    look();
    listen();
  });
}

void OomWatch::look() {
  if (!wakes_.is_open()) return;
  std::array<char, 4096> happened{};
  const ssize_t got = retry([&] { return ::read(wakes_.native_handle(), happened.data(), happened.size()); });
  if (!events_.empty()) {
    if (count_kills(events_) > kills_before_) killed_();
  } else if (got > 0) {
    // Version 1 also tells when the cgroup is removed: its files are gone then.
    std::array<char, 1> byte{};
    if (::pread(control_.get(), byte.data(), byte.size(), 0) >= 0) killed_();
  }
}

}  // namespace fdchain
